"""A chat endpoint that costs next to nothing and says how long its first token really took.

    python -m benchmarks.stub_endpoint --tokens 16 --first-ms 40 80 --gap-ms 10

It prints its port and serves until it is killed. The first chunk's content is the truth: seconds from the
last byte of the request until that chunk was handed to the socket. Written on asyncio's protocols, with
everything but that one number built beforehand: what the stub is busy with while a request waits to be read
would be held against the client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections.abc import Sequence
from typing import cast

import uvloop

MODEL = "stub"
_Range = tuple[float, float]
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_MODELS = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode()


class StubProtocol(asyncio.Protocol):
    """One connection; requests come one after another on it."""

    def __init__(self, later: Sequence[bytes], closing: bytes, first_s: _Range, gap_s: float) -> None:
        self._later, self._closing = later, closing
        self._first_s, self._gap_s = first_s, gap_s
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Answer every request that has come whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            found = _LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            if head.startswith(b"POST"):
                self._answer()
            else:
                self._list_models()

    def _list_models(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._write(head % len(_MODELS) + _MODELS)

    def _answer(self) -> None:
        came_s = time.perf_counter()
        wait_s = random.uniform(*self._first_s)
        if not wait_s and not self._gap_s:
            self._write(_first_event(came_s) + b"".join(self._later) + self._closing)
            return
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + wait_s, self._first, came_s)

    def _first(self, came_s: float) -> None:
        self._write(_first_event(came_s))
        self._next(asyncio.get_running_loop().time() + self._gap_s, 0)

    def _next(self, at_s: float, number: int) -> None:
        """Write token `number` after the first, or the end, at a time of the loop's clock, and go on."""
        loop = asyncio.get_running_loop()
        if number == len(self._later):
            loop.call_at(at_s, self._write, self._closing)
        else:
            loop.call_at(at_s, self._step, at_s, number)

    def _step(self, at_s: float, number: int) -> None:
        self._write(self._later[number])
        self._next(at_s + self._gap_s, number + 1)

    def _write(self, content: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(content)


def _delta(text: str | None) -> dict[str, object]:
    delta = {} if text is None else {"role": "assistant", "content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if text is None else None}
    return {"id": "x", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}


def _event(document: dict[str, object]) -> bytes:
    return _piece(b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n")


def _piece(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_BEFORE, _, _AFTER = _event(_delta("0.000000 ")).partition(b"0.000000")


def _first_event(came_s: float) -> bytes:
    """The head of the reply and the first token: seconds since the request came, at a fixed width."""
    return b"%s%s%08.6f%s" % (_HEAD, _BEFORE, time.perf_counter() - came_s, _AFTER)


def _closing(tokens: int) -> bytes:
    usage = {"prompt_tokens": 8, "completion_tokens": tokens, "total_tokens": 8 + tokens}
    stop = _event(_delta(None)) + _event({"choices": [], "usage": usage})
    return stop + _piece(b"data: [DONE]\n\n") + b"0\r\n\r\n"


async def serve(tokens: int, first_s: _Range, gap_s: float) -> None:
    """Print the port, then serve for ever."""
    later = [_event(_delta(f"w{number} ")) for number in range(1, tokens)]
    closing = _closing(tokens)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: StubProtocol(later, closing, first_s, gap_s), "127.0.0.1", 0, backlog=1024
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Serve as the flags say."""
    parser = argparse.ArgumentParser(description="A chat endpoint that knows its own first-token times.")
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--first-ms", type=float, nargs=2, default=(0.0, 0.0))
    parser.add_argument("--gap-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    low, high = (each / 1000 for each in arguments.first_ms)
    uvloop.run(serve(arguments.tokens, (low, high), arguments.gap_ms / 1000))


if __name__ == "__main__":
    main()
