"""HTTP/1.1 with bounded heads: uvicorn's faster parser would collect headers for as long as they come.

And with fewer writes: the head of an answer goes out with the first piece of its body. A write wakes the
client up, on a virtual machine for more than a tenth of a millisecond. That a client left is told by a call
(`server.app.departure`), for which no task must wait.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.app.departure import DEPARTURE, Departure
from server.connection import JOINED_BYTES
from server.errors import RequestError


class HeadTooLarge(RequestError):
    """The request line and the headers are over the limit; there is no request yet that could be answered."""

    status = 431
    kind = "invalid_request_error"


class JoiningTransport:
    """A transport that keeps the head of an answer until the next write, or the end of the loop's turn."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._flushing: asyncio.Handle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, after the head that waits."""
        if self._head:
            self._send_head_with(data)
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._flushing = self._loop.call_soon(self._send_head_with, b"")
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send what waits, then close."""
        if self._head:
            self._send_head_with(b"")
        self._transport.close()

    def _send_head_with(self, data: bytes) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        head, self._head = self._head, b""
        if len(data) <= JOINED_BYTES:
            self._transport.write(head + data)
        else:
            self._transport.writelines((head, data))


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol that answers 431 to heads over `header_bytes`, and hangs up."""

    header_bytes: ClassVar[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._is_in_head = True

    def connection_made(self, transport: Any) -> None:
        self._departure = Departure()
        super().connection_made(JoiningTransport(transport))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._departure.tell()

    def data_received(self, data: bytes) -> None:
        # What arrived before this piece cannot have ended the head, so all of it belongs there.
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > self.header_bytes:
            self._refuse()

    def on_message_begin(self) -> None:
        self._is_in_head = True
        super().on_message_begin()
        extensions: dict[str, Any] = {DEPARTURE: self._departure}
        self.scope["extensions"] = extensions

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._head_bytes = 0
        # Each header counts 32 bytes more, as in HTTP/2: ten thousand empty ones cost memory too.
        if sum(len(name) + len(value) + 32 for name, value in self.headers) > self.header_bytes:
            self._refuse()
            return
        super().on_headers_complete()

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        error = HeadTooLarge(
            f"the request line and headers are over {self.header_bytes} bytes; send less",
            code="head_too_large",
        )
        body = json.dumps(error.document()).encode()
        head = f"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: {len(body)}\r\n"
        head += "content-type: application/json\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()


def bounded_protocol(header_bytes: int) -> type[HttpToolsProtocol]:
    """Protocol class for uvicorn with a limit on heads."""
    return type("BoundedHeads", (BoundedHeads,), {"header_bytes": header_bytes})
