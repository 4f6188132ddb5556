"""HTTP/1.1 with bounded heads: uvicorn's faster parser would collect headers for as long as they come."""

from __future__ import annotations

import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.errors import RequestError


class HeadTooLarge(RequestError):
    """The request line and the headers are over the limit; there is no request yet that could be answered."""

    status = 431
    kind = "invalid_request_error"


def bounded_protocol(header_bytes: int) -> type[HttpToolsProtocol]:
    """Protocol class for uvicorn that answers 431 to heads over `header_bytes`, and hangs up."""

    class BoundedHeads(HttpToolsProtocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._head_bytes = 0
            self._is_in_head = True

        def data_received(self, data: bytes) -> None:
            # What arrived before this piece cannot have ended the head, so all of it belongs there.
            if self._is_in_head:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._is_in_head and self._head_bytes > header_bytes:
                self._refuse()

        def on_message_begin(self) -> None:
            self._is_in_head = True
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._is_in_head = False
            self._head_bytes = 0
            # Each header counts 32 bytes more, as in HTTP/2: ten thousand empty ones cost memory too.
            if sum(len(name) + len(value) + 32 for name, value in self.headers) > header_bytes:
                self._refuse()
                return
            super().on_headers_complete()

        def _refuse(self) -> None:
            if self.transport.is_closing():
                return
            error = HeadTooLarge(
                f"the request line and headers are over {header_bytes} bytes; send less",
                code="head_too_large",
            )
            body = json.dumps(error.document()).encode()
            head = f"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: {len(body)}\r\n"
            head += "content-type: application/json\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode() + body)
            self.transport.close()

    return BoundedHeads
