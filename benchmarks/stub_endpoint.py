"""A chat endpoint that costs next to nothing and says how long its first token really took.

    python -m benchmarks.stub_endpoint --tokens 16 --first-ms 40 80 --gap-ms 10

It prints its port and serves until it is killed. The first chunk's content is the truth: seconds from the
last byte of the request until that chunk was handed to the socket. Written on asyncio's protocols, because
a framework's own cost would stand in every figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time

MODEL = "stub"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_MODELS = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode()


class StubProtocol(asyncio.Protocol):
    """One connection; requests come one after another on it."""

    def __init__(self, tokens: int, first_s: tuple[float, float], gap_s: float) -> None:
        self._tokens, self._first_s, self._gap_s = tokens, first_s, gap_s
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

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
        came_s, loop = time.perf_counter(), asyncio.get_running_loop()
        wait_s = random.uniform(*self._first_s)
        if not wait_s and not self._gap_s:
            self._write(_HEAD + _event(_delta(f"{time.perf_counter() - came_s:.6f} ")))
            for number in range(1, self._tokens):
                self._write(_event(_delta(f"w{number} ")))
            self._end()
            return
        loop.call_later(wait_s, self._first, came_s)
        for number in range(1, self._tokens):
            text = _event(_delta(f"w{number} "))
            loop.call_later(wait_s + number * self._gap_s, self._write, text)
        loop.call_later(wait_s + self._tokens * self._gap_s, self._end)

    def _first(self, came_s: float) -> None:
        self._write(_HEAD + _event(_delta(f"{time.perf_counter() - came_s:.6f} ")))

    def _end(self) -> None:
        usage = {"prompt_tokens": 8, "completion_tokens": self._tokens, "total_tokens": 8 + self._tokens}
        closing = _event(_delta(None)) + _event({"choices": [], "usage": usage})
        done = b"data: [DONE]\n\n"
        self._write(closing + b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done))

    def _write(self, content: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(content)


def _delta(text: str | None) -> dict[str, object]:
    delta = {} if text is None else {"role": "assistant", "content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if text is None else None}
    return {"id": "x", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}


def _event(document: dict[str, object]) -> bytes:
    data = b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


async def serve(tokens: int, first_s: tuple[float, float], gap_s: float) -> None:
    """Print the port, then serve for ever."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StubProtocol(tokens, first_s, gap_s), "127.0.0.1", 0)
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
    asyncio.run(serve(arguments.tokens, (low, high), arguments.gap_ms / 1000))


if __name__ == "__main__":
    main()
