"""One HTTP/1.1 connection to a worker: a request out in one write, its answer in as it comes.

A general client builds request objects, header maps and timers for each request, which cost several times
what the exchange itself does; a worker needs none of them. httptools parses, as in the server.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, cast

import httptools

from server.errors import WorkerConnectionLost

# Beyond it the worker's end of the connection is not read until what is here has gone on to the client.
HIGH_WATER_BYTES = 1 << 20
# A body that is longer is not copied behind its head.
JOINED_BYTES = 1 << 16


class Connection(asyncio.Protocol):
    """Carries one exchange at a time: `ask`, then `head`, then `piece` until it gives nothing."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._fault: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._begin()
        self.released_at = 0.0

    def _begin(self) -> None:
        self._deadline = math.inf
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._is_paused = False
        self._has_head = False
        self._is_whole = False
        self._has_end = False
        self._is_kept = False
        self.status = 0
        self.headers: dict[bytes, bytes] = {}

    @property
    def is_reusable(self) -> bool:
        """Whether its exchange is over, on both sides, and another may follow."""
        transport = self._transport
        return (
            self._is_whole
            and self._fault is None
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
            and self._is_kept
        )

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        return self._fault is None and self._transport is not None and not self._transport.is_closing()

    def ask(self, head: bytes, body: bytes) -> None:
        """Send a request; `head` ends with the blank line."""
        self._begin()
        self._parser = httptools.HttpResponseParser(self)
        if self._transport is None or self._fault is not None:
            raise WorkerConnectionLost("the connection was closed before it was used")
        if len(body) <= JOINED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    def expect_within(self, seconds: float) -> None:
        """What is waited for from now on must come within so many seconds, else TimeoutError.

        One timer serves all: it is set anew when it rings too early, and moved only to ring earlier.
        """
        self._deadline = self._loop.time() + seconds
        self._arm()

    def _arm(self) -> None:
        if self._deadline == math.inf:
            return
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._ring)
        elif self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._ring)

    async def head(self) -> None:
        """Wait for `status` and `headers`; raises WorkerConnectionLost or TimeoutError."""
        while not self._has_head:
            await self._wait()

    async def piece(self) -> bytes:
        """What came of the body since the last call, nothing at its end; raises as `head` does."""
        while not self._pieces:
            if self._is_whole:
                return b""
            await self._wait()
        pieces, self._pieces = self._pieces, []
        self._waiting_bytes = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def body(self, most: int | None = None) -> bytes:
        """The rest of the body, at least `most` bytes of it where it is longer than that."""
        pieces = []
        size = 0
        while (most is None or size < most) and (piece := await self.piece()):
            pieces.append(piece)
            size += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Close at once, whatever is under way: that is what makes an engine abort."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._fault is not None:
            raise WorkerConnectionLost("the worker closed the connection") from self._fault
        self._waiter = self._loop.create_future()
        self._arm()  # it may have rung while nobody waited
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._deadline:
            self._arm()
        else:
            self._waiter.set_exception(TimeoutError("the worker was silent"))

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._is_whole:
            # Nobody asked: what a worker says then belongs to no request.
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._lose(exc)
            self.close()
        self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._has_head and not self._has_end and exc is None:
            self._is_whole = True  # a body without a length ends with its connection
        self._lose(exc or ConnectionResetError("closed by the worker"))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()

    def _lose(self, fault: Exception) -> None:
        if self._fault is None:
            self._fault = fault

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self.headers.clear()
            return
        self.status = status
        self._has_end = b"content-length" in self.headers or b"transfer-encoding" in self.headers
        self._has_head = True

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > HIGH_WATER_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._has_head:
            self._is_whole = True
            # The parser knows it only until the next message begins.
            self._is_kept = bool(self._parser.should_keep_alive())


def request_head(method: str, target: str, host: str, fields: Mapping[str, str], length: int) -> bytes:
    """Request line and headers, with the blank line."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
    return f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n{lines}content-length: {length}\r\n\r\n".encode()
