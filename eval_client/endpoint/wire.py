"""Timed HTTP/1.1: bytes of replies with the moment at which each was read from its socket.

A general client wakes a task for every chunk, and what other requests do until that task runs stands in its
times: at 32 streams 1.5 ms in the median, 11 ms in the worst hundredth (`benchmarks.client_overhead`). Here
the clock is read in the event loop's own callback, and what was read is parsed later (ADR 0019).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import httptools

from eval_client.errors import RequestError

MAX_REPLY_BYTES = 64 << 20
IDLE_CONNECTION_S = 4.0
"""Below uvicorn's 5 s, so that no request meets a connection that is being closed."""
CONNECT_S = 5.0
_END_S = 0.2  # for the end of a body after its last event


class Sink(Protocol):
    """What a reply goes to as it comes. Either method may raise RequestError, which ends the exchange."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Status and headers, names in lower case."""
        ...

    def take(self, data: bytes, at: float) -> bool:
        """Bytes of the body, read at `at` of `time.perf_counter`; true where no more of them matter."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a whole exchange and the wait for each next byte may take."""

    total_s: float
    stall_s: float


class WirePool:
    """Connections to one endpoint, each used again after a reply that was read to its end."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(base_url)
        self._name, self._is_secure = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._is_secure else 80)
        self._path = parts.path.rstrip("/")
        fields = {"Host": parts.netloc.rpartition("@")[2], "Accept-Encoding": "identity", **headers}
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._idle: list[tuple[float, _Connection]] = []

    @property
    def idle_connections(self) -> int:
        """How many wait for a request."""
        return len(self._idle)

    def close(self) -> None:
        """Close those that wait."""
        while self._idle:
            self._idle.pop()[1].abort()

    async def post(self, path: str, body: bytes, sink: Sink, limits: Limits) -> None:
        """Send JSON and give the reply to `sink`, to its end. Raises RequestError."""
        head = f"POST {self._path}/{path} HTTP/1.1\r\n{self._fields}Content-Length: {len(body)}\r\n\r\n"
        connection = self._take() or await self._connect(limits.total_s)
        try:
            await connection.exchange(head.encode() + body, sink, limits)
        finally:
            if connection.is_reusable:
                self._idle.append((time.monotonic(), connection))
            else:
                connection.abort()

    def _take(self) -> _Connection | None:
        while self._idle:
            since_s, connection = self._idle.pop()
            if connection.is_open and time.monotonic() - since_s < IDLE_CONNECTION_S:
                return connection
            connection.abort()
        return None

    async def _connect(self, within_s: float) -> _Connection:
        loop = asyncio.get_running_loop()
        tls = True if self._is_secure else None
        try:
            async with asyncio.timeout(min(CONNECT_S, within_s)):
                return (await loop.create_connection(_Connection, self._name, self._port, ssl=tls))[1]
        except (OSError, TimeoutError) as exc:
            reason = str(exc) or f"none within {CONNECT_S:g} s"
            raise RequestError("refused", f"no connection to {self._name}:{self._port} ({reason})") from exc


class _Connection(asyncio.Protocol):
    """Carries one exchange at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._sink: Sink | None = None
        self._over: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._size = 0
        self._has_length = self._is_kept = self._is_enough = False
        self._began_s = self._heard_s = time.perf_counter()

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        """Whether the last reply was read to its end and both sides keep the connection."""
        return self._is_kept and self.is_open

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, request: bytes, sink: Sink, limits: Limits) -> None:
        """Send a request and wait until its reply is over. Raises RequestError."""
        self._begin()
        self._sink, self._limits = sink, limits
        self._over = self._loop.create_future()
        if self._transport is None or not self.is_open:
            raise RequestError("closed", "the connection was closed before the request")
        self._timer = self._loop.call_later(min(limits.stall_s, limits.total_s), self._ring)
        try:
            self._transport.write(request)
            await self._over
        finally:
            self._timer.cancel()
            self._sink = None

    def _end(self, error: RequestError | None = None) -> None:
        if self._over is None or self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)

    def _ring(self) -> None:
        """The exchange has lasted long, or nothing came for long; if neither, ring again when it may be."""
        now_s, limits = time.perf_counter(), self._limits
        total_s = self._began_s + limits.total_s - now_s
        stall_s = self._heard_s + limits.stall_s - now_s
        if total_s <= 0:
            self._end(RequestError("timeout", "the reply took longer than allowed"))
        elif stall_s <= 0:
            self._end(RequestError("stalled", "no byte came within the allowed time"))
        else:
            self._timer = self._loop.call_later(min(stall_s, total_s), self._ring)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such

    def data_received(self, data: bytes) -> None:
        self._heard_s = time.perf_counter()
        if self._sink is None:
            self._is_kept = False  # bytes that nobody asked for
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as exc:
            fault = exc.__context__
            self._end(fault if isinstance(fault, RequestError) else RequestError("garbage", str(exc)))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._end(RequestError("garbage", f"no HTTP reply that can be read ({exc})"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_kept = False
        is_whole = exc is None and self._size > 0 and not self._has_length
        reason = str(exc) if exc else "by the endpoint"
        fault = RequestError("closed", f"the connection was closed half-way ({reason})")
        self._end(None if is_whole or self._is_enough else fault)

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if (status := self._parser.get_status_code()) < 200:
            self._headers.clear()
            return
        self._has_length = not self._headers.keys().isdisjoint({"content-length", "transfer-encoding"})
        assert self._sink is not None
        self._sink.begin(status, self._headers)

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_REPLY_BYTES:
            message = f"a reply of more than {MAX_REPLY_BYTES} bytes"
            raise RequestError("garbage", message, is_transient=False)
        assert self._sink is not None
        if self._sink.take(data, self._heard_s) and not self._is_enough:
            self._is_enough = True
            assert self._timer is not None
            self._timer.cancel()
            self._timer = self._loop.call_later(_END_S, self._end)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self._is_kept = bool(self._parser.should_keep_alive())
            self._end()
