"""The way to one worker: a pool of HTTP connections over its Unix socket or to its URL."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from server.connection import Connection, request_head
from server.errors import WorkerConnectionLost, WorkerOrderRefused, WorkerUnreachable

# Below the five seconds after which the engines' servers close idle connections, so that a request
# never meets a connection that its worker is just closing.
KEEPALIVE_S = 3.0
BACKLOG_WAIT_S = 0.02
# A Unix socket connects at once or not at all: what takes longer is this machine being busy, no dead worker.
UNIX_CONNECT_S = 60.0
MAX_METRICS_BYTES = 32 << 20
JSON_FIELDS = {"content-type": "application/json"}


class WorkerClient:
    """Pooled, unlimited connections to one worker; each request takes one for itself."""

    def __init__(self, url: str, connect_s: float) -> None:
        parts = urlsplit(url)
        self._path = parts.path if parts.scheme == "unix" else None
        self._connect_s = connect_s if self._path is None else max(connect_s, UNIX_CONNECT_S)
        self._name, self._port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._is_secure = parts.scheme == "https"
        self._host = "worker" if self._path is not None else parts.netloc.rpartition("@")[2]
        self._prefix = "" if self._path is not None else parts.path.rstrip("/")
        self._fields: dict[str, str] = {}
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._fields["authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._is_closed = False

    def post(
        self, path: str, body: bytes, request_id: str, headers: Mapping[str, str] | None = None
    ) -> Exchange:
        """A JSON request, sent when it is entered; leaving it before its end closes the connection.

        A closed connection is what tells the engine to abort. Raises WorkerUnreachable, WorkerConnectionLost,
        or TimeoutError where `expect_within` says so.
        """
        fields = {**JSON_FIELDS, "x-request-id": request_id, **(headers or {})}
        return self._exchange("POST", path, body, fields)

    def _exchange(self, method: str, path: str, body: bytes, fields: Mapping[str, str]) -> Exchange:
        head = request_head(method, self._prefix + path, self._host, {**self._fields, **fields}, len(body))
        return Exchange(self, head, body)

    async def exchange_weights(self, directory: str, timeout_s: float) -> None:
        """Have vLLM load a directory's weights in place; nothing may be running.

        Pausing waits for the engine's own last steps; the caches hold results of the old weights. Raises
        WorkerOrderRefused where the engine did, what `post` raises, or TimeoutError.
        """
        reload = {"method": "reload_weights", "kwargs": {"weights_path": directory}}
        async with asyncio.timeout(timeout_s):
            await self._order("/pause?mode=wait", None)
            await self._order("/collective_rpc", reload)
            await self._order("/reset_prefix_cache", None)
            await self._order("/reset_mm_cache", None)
            await self._order("/resume", None)

    async def _order(self, path: str, document: dict[str, Any] | None) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        async with self._exchange("POST", path, body, JSON_FIELDS if body else {}) as answer:
            await answer.body()
            if answer.status >= 300:
                raise WorkerOrderRefused(f"the engine answered {path} with status {answer.status}")

    async def is_healthy(self, timeout_s: float) -> bool:
        """Whether GET /health answers 200 in time."""
        return await self._get("/health", timeout_s) is not None

    async def metrics(self, timeout_s: float) -> str:
        """Text of GET /metrics; empty where the worker has none or does not answer."""
        page = await self._get("/metrics", timeout_s)
        return "" if page is None else page.decode(errors="replace")

    async def _get(self, path: str, timeout_s: float) -> bytes | None:
        """Body of an answer with status 200, None for any other and where there is none in time."""
        try:
            async with asyncio.timeout(timeout_s), self._exchange("GET", path, b"", {}) as answer:
                body = await answer.body(MAX_METRICS_BYTES)
                return body if answer.status == 200 else None
        except (WorkerUnreachable, WorkerConnectionLost, TimeoutError):
            return None

    async def take(self) -> Connection:
        """An open connection, an idle one where there is one; raises WorkerUnreachable."""
        oldest = time.monotonic() - KEEPALIVE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.released_at > oldest and connection.is_open:
                break
            connection.close()
        else:
            connection = await self._open()
        self._busy.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it where its exchange is not over."""
        self._busy.discard(connection)
        if self._is_closed or not connection.is_reusable:
            connection.close()
            return
        now = time.monotonic()
        connection.released_at = now
        while self._idle and self._idle[0].released_at <= now - KEEPALIVE_S:
            self._idle.popleft().close()
        self._idle.append(connection)

    async def _open(self) -> Connection:
        """Try again while a Unix socket's backlog is full: nothing was sent, and TCP would wait as well."""
        if self._is_closed:
            raise WorkerUnreachable("this worker was stopped")
        try:
            async with asyncio.timeout(self._connect_s):
                while True:
                    try:
                        return await self._connect()
                    except OSError as exc:
                        if self._path is None or exc.errno != errno.EAGAIN:
                            raise
                    await asyncio.sleep(BACKLOG_WAIT_S)
        except (OSError, ValueError) as exc:  # ValueError: a name or a path that no address can be made of
            raise WorkerUnreachable(f"no connection to the worker ({exc})") from exc

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        if self._path is not None:
            return (await loop.create_unix_connection(Connection, self._path))[1]
        tls = True if self._is_secure else None
        return (await loop.create_connection(Connection, self._name, self._port, ssl=tls))[1]

    async def close(self) -> None:
        """Close all connections; requests that are on them fail."""
        self._is_closed = True
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._idle.clear()


class Exchange:
    """One request and its answer: `async with client.post(...) as answer`."""

    def __init__(self, client: WorkerClient, head: bytes, body: bytes) -> None:
        self._client = client
        self._head = head
        self._body = body
        self._first_byte_s: float | None = None
        self._connection: Connection | None = None

    def within(self, seconds: float) -> Self:
        """The same, with a limit on the wait for the answer's head; `expect_within` sets another later."""
        self._first_byte_s = seconds
        return self

    async def __aenter__(self) -> Connection:
        connection = self._connection = await self._client.take()
        try:
            connection.ask(self._head, self._body)
            if self._first_byte_s is not None:
                connection.expect_within(self._first_byte_s)
            await connection.head()
        except BaseException:
            connection.close()
            self._client.give_back(connection)
            raise
        return connection

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._connection is not None
        self._client.give_back(self._connection)
