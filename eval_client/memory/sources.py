"""Where the memory of the serving processes can be read.

A source gives one reading, or None where there is nothing to read (any more). Resident sets count shared
pages once a process; proportional sets share them out, and are read less often because it takes the
kernel milliseconds.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import psutil

from bitloom.memory import LoadedMemory
from eval_client.endpoint.client import translated
from eval_client.errors import RequestError
from eval_client.memory.engine_metrics import parse_cache
from eval_client.memory.page import READ_TIMEOUT_S

_FAMILY = re.compile(r'^bitloom_memory_used_bytes\{(?:.*,)?variant="([^"]*)".*\} (\S+)', re.MULTILINE)
PROBES = 5
PROBE_PAUSE_S = 0.5
_LOCAL = {"127.0.0.1", "localhost", "::1", "0.0.0.0"}


@dataclass(frozen=True, slots=True)
class Reading:
    """Memory at one moment, in bytes."""

    resident_bytes: int
    proportional_bytes: int | None = None
    kv_cache_share: float | None = None


Read = Callable[[], Awaitable[Reading | None]]


@dataclass(frozen=True, slots=True)
class Source:
    """A way to read memory: whose it is in words, the process where it is known, and the reading itself.

    `loaded` is what the endpoint says the model took when it was loaded, where it does.
    """

    name: str
    pid: int | None
    read: Read
    loaded: LoadedMemory | None = None


async def gateway_source(session: aiohttp.ClientSession, endpoint: str, model: str) -> Source | None:
    """The gateway's own figure for the variant, or None where the endpoint has no such metric.

    An endpoint that does not answer in time, or has not measured yet, is asked again: taking a busy gateway
    for one without the metric would count the memory of all its variants as this one's.
    """
    url = f"{endpoint.removesuffix('/v1')}/metrics"

    async def fetch() -> str:
        with translated():
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=READ_TIMEOUT_S)) as response:
                return await response.text() if response.status == 200 else ""

    async def read() -> Reading | None:
        try:
            return parse_gateway(await fetch(), model)
        except RequestError:
            return None

    for _ in range(PROBES):
        with suppress(RequestError):
            text = await fetch()
            if _FAMILY.search(text) is None:
                return None
            if parse_gateway(text, model):
                return Source(f"gateway: bitloom_memory_used_bytes of {model}", None, read)
        await asyncio.sleep(PROBE_PAUSE_S)
    return None


def parse_gateway(metrics: str, model: str) -> Reading | None:
    """The reading of a model in the gateway's metrics; None where it is not there, or still nothing.

    A route with one variant is that variant.
    """
    used = {name: int(float(value)) for name, value in _FAMILY.findall(metrics)}
    only = next(iter(used.values())) if len(used) == 1 else 0
    resident = used.get(model, only)
    return Reading(resident, kv_cache_share=parse_cache(metrics, model)) if resident > 0 else None


def process_source(pid: int, *, every: int = 25) -> Source | None:
    """The process tree below `pid`, or None where there is none.

    Every 25th reading looks for new processes and reads proportional sets; those between are cheap.
    """
    if not psutil.pid_exists(pid):
        return None
    count = 0
    tree: list[psutil.Process] = []

    async def read() -> Reading | None:
        nonlocal count, tree
        is_thorough = count % every == 0
        count += 1
        if is_thorough:
            tree = process_tree(pid)
        return read_tree(tree, is_thorough=is_thorough)

    return Source(f"process tree of {pid}", pid, read)


def process_tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants; none where it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def read_tree(tree: Sequence[psutil.Process], *, is_thorough: bool) -> Reading | None:
    """Memory of some processes; None where all are gone. Proportional sets if thorough."""
    resident = sum(_resident(process) for process in tree)
    proportional = sum(_proportional(process) for process in tree) if is_thorough else None
    return Reading(resident, proportional or None) if resident else None


def listening_pid(endpoint: str) -> int | None:
    """The process that listens on a local endpoint's port, where this user may see it."""
    parts = urlsplit(endpoint)
    if parts.hostname not in _LOCAL:
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.AccessDenied, OSError):
        return None
    owners = [
        each.pid
        for each in connections
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
    ]
    return min((pid for pid in owners if pid), default=None)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _proportional(process: psutil.Process) -> int:
    try:
        return int(getattr(process.memory_full_info(), "pss", 0))
    except psutil.Error:
        return 0
