"""The connection to one worker: a pool of HTTP connections over its Unix socket or to its URL."""

from __future__ import annotations

import asyncio
import errno
import io
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

# Below the five seconds after which the engines' servers close idle connections, so that a request
# never meets a connection that its worker is just closing.
KEEPALIVE_S = 3.0
# aiohttp warns of (and copies) larger bodies that are given as bytes.
PLAIN_BODY_BYTES = 1 << 20
BACKLOG_WAIT_S = 0.02
# A Unix socket connects at once or not at all: what takes longer is this machine being busy, no dead worker.
UNIX_CONNECT_S = 60.0


class WorkerClient:
    """Pooled, unlimited connections to one worker; each request takes one for itself."""

    def __init__(self, url: str, connect_s: float) -> None:
        parts = urlsplit(url)
        self._connect_s = max(connect_s, UNIX_CONNECT_S) if parts.scheme == "unix" else connect_s
        connector: aiohttp.BaseConnector
        if parts.scheme == "unix":
            connector = aiohttp.UnixConnector(parts.path, limit=0, keepalive_timeout=KEEPALIVE_S)
            self._base = "http://worker"
        else:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S)
            self._base = url.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    @asynccontextmanager
    async def post(
        self, path: str, body: bytes, request_id: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a JSON request; leaving the block before its end closes the connection.

        A closed connection is what tells the engine to abort. Raises aiohttp.ClientError.
        """
        fields = {"content-type": "application/json", "x-request-id": request_id, **(headers or {})}
        async with await self._open(self._base + path, body, fields) as response:
            yield response

    async def _open(self, url: str, body: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Try again while a Unix socket's backlog is full: nothing was sent, and TCP would wait as well."""
        deadline = time.monotonic() + self._connect_s
        while True:
            data = body if len(body) <= PLAIN_BODY_BYTES else io.BytesIO(body)
            try:
                return await self._session.post(url, data=data, headers=headers, allow_redirects=False)
            except aiohttp.ClientConnectorError as exc:
                if exc.errno != errno.EAGAIN or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(BACKLOG_WAIT_S)

    async def exchange_weights(self, directory: str, timeout_s: float) -> None:
        """Have vLLM load a directory's weights in place; nothing may be running.

        Pausing waits for the engine's own last steps; the caches hold results of the old weights. Raises
        aiohttp.ClientError (ClientResponseError where the engine refused) or TimeoutError.
        """
        reload = {"method": "reload_weights", "kwargs": {"weights_path": directory}}
        async with asyncio.timeout(timeout_s):
            await self._order("/pause?mode=wait", None)
            await self._order("/collective_rpc", reload)
            await self._order("/reset_prefix_cache", None)
            await self._order("/reset_mm_cache", None)
            await self._order("/resume", None)

    async def _order(self, path: str, document: dict[str, Any] | None) -> None:
        async with self._session.post(self._base + path, json=document, allow_redirects=False) as response:
            await response.read()
            response.raise_for_status()

    async def is_healthy(self, timeout_s: float) -> bool:
        """Whether GET /health answers 200 in time."""
        try:
            async with self._session.get(
                f"{self._base}/health", timeout=aiohttp.ClientTimeout(total=timeout_s), allow_redirects=False
            ) as response:
                return bool(response.status == 200)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def metrics(self, timeout_s: float) -> str:
        """Text of GET /metrics; empty where the worker has none or does not answer."""
        try:
            async with self._session.get(
                f"{self._base}/metrics", timeout=aiohttp.ClientTimeout(total=timeout_s), allow_redirects=False
            ) as response:
                return str(await response.text(errors="replace")) if response.status == 200 else ""
        except (aiohttp.ClientError, TimeoutError, OSError):
            return ""

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
