"""What the gateway costs: added latency and kept throughput, against the same worker reached directly.

The worker is the stub engine: 128 tokens a stream, one every 10 ms, as a small model on a GPU gives.
Direct and gateway requests alternate, each first as often as second, so that both see the same machine; the
median of the paired differences counts, of throughput the median over the rounds. Where
the system permits it, all three processes go before other work while ratios are taken: what is measured is
the gateway, not the wait for a core that other work holds.
`python -m benchmarks.gateway`
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import psutil

from benchmarks.harness import Figures
from bitloom.errors import WorkerError

ROUNDS = 5
WARM_UP = 50
PAIRS = 500
STREAMS = 32
HELD_STREAMS = 1000
MAX_ADDED_MS = 1.0
MIN_THROUGHPUT = 0.90
MAX_HELD_BYTES = 512 << 20


def main() -> int:
    """Measure, print, and give the exit code."""
    with tempfile.TemporaryDirectory(prefix="bl-") as folder:
        socket = Path(folder) / "stub.sock"
        with running_stub(socket) as stub, running_gateway(socket) as (process, url):
            gateway = psutil.Process(process.pid)
            added_ms, kept, errors, used = asyncio.run(measure(f"unix:{socket}", url, gateway, stub.pid))
    holds = added_ms <= MAX_ADDED_MS and kept >= MIN_THROUGHPUT and errors == 0 and used <= MAX_HELD_BYTES
    return Figures(
        "gateway",
        {
            "p50 added at concurrency 1, ms": added_ms,
            f"throughput kept at {STREAMS} streams": kept,
            f"errors of {HELD_STREAMS} held streams": errors,
            "gateway resident at most, MiB": used / (1 << 20),
            "load of the machine, processes a core": os.getloadavg()[0] / (os.cpu_count() or 1),
        },
        f"added <= {MAX_ADDED_MS} ms, kept >= {MIN_THROUGHPUT}, no error, <= {MAX_HELD_BYTES >> 20} MiB",
        holds,
    ).close()


async def measure(
    direct_url: str, gateway_url: str, gateway: psutil.Process, stub: int
) -> tuple[float, float, int, int]:
    """Added latency in ms, share of the throughput kept, errors among the held streams, bytes meanwhile."""
    async with opened(direct_url) as direct, opened(gateway_url) as through:
        with ahead_of_others(os.getpid(), gateway.pid, stub):
            added_ms = await added_latency_ms(direct, through)
            kept = await kept_throughput(direct, through)
    # Connections of its own: the server may just be closing those that were idle.
    async with opened(gateway_url) as fresh:
        return added_ms, kept, *await hold_streams(fresh, gateway)


@contextmanager
def ahead_of_others(*pids: int) -> Iterator[None]:
    """Schedule these processes before all ordinary work, where that is permitted; say so where it is not."""
    try:
        for pid in pids:
            os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
    except (PermissionError, AttributeError):
        print("no priority over other work here: its share of the machine is in the figures")
    try:
        yield
    finally:
        with suppress(PermissionError, AttributeError):
            for pid in pids:
                os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


async def added_latency_ms(direct: aiohttp.ClientSession, through: aiohttp.ClientSession) -> float:
    """Median of what a one-token answer takes longer through the gateway, over pairs of requests."""
    differences = []
    for pair in range(WARM_UP + PAIRS):
        order = (direct, through) if pair % 2 else (through, direct)
        seconds = {session: await seconds_of(session, "tokens=1") for session in order}
        differences.append(1000 * (seconds[through] - seconds[direct]))
    return statistics.median(differences[WARM_UP:])


async def kept_throughput(direct: aiohttp.ClientSession, through: aiohttp.ClientSession) -> float:
    """Median over the rounds of the gateway's share of the direct throughput."""
    shares = []
    for _ in range(ROUNDS):
        times = []
        for session in (direct, through):
            started = time.perf_counter()
            await asyncio.gather(*(stream(session, "tokens=128 delay=0.01") for _ in range(STREAMS)))
            times.append(time.perf_counter() - started)
        shares.append(times[0] / times[1])
    return statistics.median(shares)


async def hold_streams(session: aiohttp.ClientSession, gateway: psutil.Process) -> tuple[int, int]:
    """Streams, of many at once, that did not come whole; the most memory the gateway had meanwhile."""
    script = "tokens=20 delay=0.5"
    holding = asyncio.gather(*(stream(session, script) for _ in range(HELD_STREAMS)), return_exceptions=True)
    used = 0
    while not holding.done():
        used = max(used, gateway.memory_info().rss)
        await asyncio.wait({holding}, timeout=0.2)
    faults = Counter(repr(each)[:120] for each in holding.result() if each is not True)
    for fault, count in faults.most_common(3):
        print(f"{count} streams: {fault}")
    return faults.total(), used


async def seconds_of(session: aiohttp.ClientSession, script: str) -> float:
    """Latency of one unstreamed answer."""
    started = time.perf_counter()
    async with session.post("/v1/chat/completions", json=chat(script)) as response:
        await response.read()
        response.raise_for_status()
    return time.perf_counter() - started


async def stream(session: aiohttp.ClientSession, script: str) -> bool:
    """Whether a stream came to its end."""
    async with session.post("/v1/chat/completions", json={**chat(script), "stream": True}) as response:
        body: bytes = await response.read()
        return body.endswith(b"data: [DONE]\n\n")


def chat(script: str) -> dict[str, object]:
    """A request that the stub answers as `script` says."""
    return {"model": "stub", "messages": [{"role": "user", "content": script}]}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client without limits for a server at a URL or a Unix socket."""
    is_unix = url.startswith("unix:")
    connector = (
        aiohttp.UnixConnector(url.removeprefix("unix:"), limit=0)
        if is_unix
        else aiohttp.TCPConnector(limit=0)
    )
    timeout = aiohttp.ClientTimeout(total=300)
    base = "http://stub" if is_unix else url
    async with aiohttp.ClientSession(base, connector=connector, timeout=timeout) as session:
        yield session


@contextmanager
def running_stub(socket: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The stub engine as a process."""
    command = [sys.executable, "-m", "server.stub_engine", "--socket", str(socket), "--name", "stub"]
    with subprocess.Popen(command) as process:
        try:
            while not socket.exists():
                time.sleep(0.05)
                if process.poll() is not None:
                    raise WorkerError("the stub engine ended before it was ready")
            yield process
        finally:
            process.terminate()


@contextmanager
def running_gateway(socket: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`bitloom serve` before the stub, and its URL."""
    config = socket.parent / "server.yaml"
    variants = [{"name": "stub", "url": f"unix:{socket}"}]
    limits = {"outstanding": HELD_STREAMS + STREAMS}
    config.write_text(json.dumps({"variants": variants, "limits": limits}))
    command = [sys.executable, "-m", "bitloom", "serve", "--config", str(config), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            found = re.search(r"ready on (http://\S+)/v1", line)
            if found is None:
                raise WorkerError("the gateway ended before it was ready")
            yield process, found[1]
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
