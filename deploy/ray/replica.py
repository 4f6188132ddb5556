"""One replica of a variant: an actor that runs an engine's worker process and asks it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from bitloom.errors import WorkerError
from deploy.ray.coalesce import coalesced
from server.workers.command import PARENT_ENV

POLL_S = 0.1
STOP_S = 15


class VariantReplica:
    """`argv` may hold {socket}; `environment` is added to the actor's own.

    Serve calls `check_health` and starts another replica where it raises.
    """

    def __init__(
        self, name: str, argv: tuple[str, ...], environment: Mapping[str, str], start_s: float
    ) -> None:
        """Start the worker and wait until it has loaded; WorkerError where it ends or takes too long."""
        self._name = name
        self._folder = tempfile.TemporaryDirectory(prefix="bitloom-")
        socket = Path(self._folder.name) / "worker.sock"
        words = [word.replace("{socket}", str(socket)) for word in argv]
        # The worker dies with this actor: with a kill -9, too.
        env = {**os.environ, **environment, PARENT_ENV: str(os.getpid())}
        self._process = subprocess.Popen(words, env=env)
        self._session: aiohttp.ClientSession | None = None
        self._socket = socket
        self._deadline = time.monotonic() + start_s
        self._is_loaded = asyncio.Lock()
        self._has_loaded = False

    async def check_health(self) -> None:
        """Raise WorkerError where the worker is gone or does not answer."""
        await self._loaded()
        if self._process.poll() is not None or not await self._answers():
            raise WorkerError(f"the worker of {self._name} is gone or silent; this replica is replaced")

    async def ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[tuple[int, str, bytes] | bytes]:
        """Status, content type and first piece of the worker's answer in one, then the other pieces.

        Cancelling closes the connection to the worker, which makes the engine abort.
        """
        await self._loaded()
        session = self._opened()
        async with session.request(
            method, f"http://worker{path}", data=body, headers=dict(headers)
        ) as answer:
            kind = answer.headers.get("content-type", "application/octet-stream")
            pieces = coalesced(answer.content.iter_any())
            first = await anext(pieces, b"")
            yield answer.status, kind, first
            async for piece in pieces:
                yield piece

    async def _loaded(self) -> None:
        async with self._is_loaded:
            while not self._has_loaded:
                if self._process.poll() is not None:
                    raise WorkerError(f"the worker of {self._name} ended before it was ready; see Ray's logs")
                if time.monotonic() > self._deadline:
                    raise WorkerError(f"the worker of {self._name} was not ready in time")
                self._has_loaded = await self._answers()
                if not self._has_loaded:
                    await asyncio.sleep(POLL_S)

    async def _answers(self) -> bool:
        try:
            async with self._opened().get("http://worker/health") as answer:
                return bool(answer.status == 200)
        except (aiohttp.ClientError, OSError):
            return False

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None)
            connector = aiohttp.UnixConnector(str(self._socket), limit=0)
            skipped: Any = ("User-Agent", "Accept-Encoding")
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False, skip_auto_headers=skipped
            )
        return self._session

    def __del__(self) -> None:
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
