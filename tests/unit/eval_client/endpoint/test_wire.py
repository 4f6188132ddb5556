"""Timed connections: replies in every framing, limits, reuse, and what is no reply at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from eval_client.endpoint import wire
from eval_client.endpoint.wire import Limits, WirePool
from eval_client.errors import RequestError

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LIMITS = Limits(total_s=5.0, stall_s=2.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


class Kept:
    """A sink that keeps everything; enough is what ends with `last`."""

    def __init__(self, last: bytes = b"[DONE]\n\n") -> None:
        self.status, self.last = 0, last
        self.headers: dict[str, str] = {}
        self.pieces: list[tuple[bytes, float]] = []

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, dict(headers)

    def take(self, data: bytes, at: float) -> bool:
        self.pieces.append((data, at))
        return self.body.endswith(self.last)

    @property
    def body(self) -> bytes:
        return b"".join(data for data, _ in self.pieces)


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[tuple[WirePool, list[bytes]]]:
    """A server of one handler, what it was asked, and a pool of connections to it."""
    asked: list[bytes] = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                asked.append(b"%d " % connections + head + await reader.readexactly(length))
                await handler(reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = WirePool(f"http://127.0.0.1:{port}/v1", {"Authorization": "Bearer k"})
    try:
        yield pool, asked
    finally:
        pool.close()
        server.close()


def replying(*pieces: bytes, pause_s: float = 0.0, is_closed: bool = False) -> Handler:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, piece in enumerate(pieces):
            await asyncio.sleep(pause_s if number else 0)
            writer.write(piece)
            await writer.drain()
        if is_closed:
            writer.close()

    return handler


CHUNKED = (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")
ENDLESS = (OK + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\na\r\n"] * 40)
SIZED = (OK + b"Content-Length: 5\r\n\r\nab", b"cde")


@pytest.mark.parametrize("pieces", [CHUNKED, SIZED])
async def test_a_connection_is_used_again_after_a_reply_with_an_end(pieces: tuple[bytes, ...]) -> None:
    async with answering(replying(*pieces)) as (pool, asked):
        for _ in range(3):
            sink = Kept()
            await pool.post("chat/completions", b"{}", sink, LIMITS)
            assert (sink.status, sink.body) == (200, b"abcde")
            assert sink.headers["content-type"] == "text/event-stream"
        assert [line[:2] for line in asked] == [b"1 "] * 3
        assert asked[0].startswith(b"1 POST /v1/chat/completions HTTP/1.1\r\n")
        assert b"\r\nAuthorization: Bearer k\r\n" in asked[0]
        assert asked[0].endswith(b"Content-Length: 2\r\n\r\n{}")
        assert pool.idle_connections == 1


async def test_each_piece_has_the_time_at_which_it_was_read() -> None:
    async with answering(replying(*CHUNKED, pause_s=0.1)) as (pool, _):
        sink, start = Kept(), time.perf_counter()
        await pool.post("x", b"{}", sink, LIMITS)
        (_, first), (_, second) = sink.pieces
        assert start < first < first + 0.09 < second <= time.perf_counter()


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    async with answering(replying(OK + b"\r\nabc", is_closed=True)) as (pool, _):
        sink = Kept()
        await pool.post("x", b"{}", sink, LIMITS)
        assert (sink.body, pool.idle_connections) == (b"abc", 0)


async def test_a_connection_that_the_endpoint_gives_up_is_not_used_again() -> None:
    async with answering(replying(OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na")) as (pool, _):
        await pool.post("x", b"{}", Kept(), LIMITS)
        assert pool.idle_connections == 0


async def test_an_idle_connection_that_was_closed_meanwhile_is_replaced() -> None:
    async with answering(replying(*SIZED, is_closed=True)) as (pool, asked):
        for _ in range(2):
            await pool.post("x", b"{}", Kept(), LIMITS)
            await asyncio.sleep(0.05)
        assert [line[:2] for line in asked] == [b"1 ", b"2 "]


async def test_the_last_event_is_enough_where_the_body_never_ends() -> None:
    piece = OK + b"Transfer-Encoding: chunked\r\n\r\n8\r\n[DONE]\n\n\r\n"
    async with answering(replying(piece)) as (pool, _):
        await asyncio.wait_for(pool.post("x", b"{}", Kept(), LIMITS), 1.0)
        assert pool.idle_connections == 0


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (replying(SIZED[0], is_closed=True), "closed: the connection was closed half-way"),
        (replying(CHUNKED[0], is_closed=True), "closed: the connection was closed half-way"),
        (replying(b"", is_closed=True), "closed: the connection was closed half-way"),
        (replying(b"SSH-2.0-x\r\n"), "garbage: no HTTP reply"),
        (replying(SIZED[0]), "stalled: no byte came"),
        (
            replying(OK + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\na\r\n"] * 40, pause_s=0.02),
            "timeout: ",
        ),
    ],
)
async def test_what_is_no_whole_reply_has_a_name(handler: Handler, message: str) -> None:
    async with answering(handler) as (pool, _):
        with pytest.raises(RequestError) as failure:
            await pool.post("x", b"{}", Kept(), Limits(total_s=0.5, stall_s=0.2))
        assert str(failure.value).startswith(message)
        assert pool.idle_connections == 0


async def test_a_reply_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_REPLY_BYTES", 1000)
    async with answering(replying(OK + b"Content-Length: 5000\r\n\r\n" + b"a" * 5000)) as (pool, _):
        with pytest.raises(RequestError, match="a reply of more than 1000 bytes"):
            await pool.post("x", b"{}", Kept(), LIMITS)


async def test_a_sink_that_refuses_ends_the_exchange() -> None:
    class Refusing(Kept):
        def take(self, data: bytes, at: float) -> bool:
            raise RequestError("error_body", "engine died")

    async with answering(replying(*CHUNKED)) as (pool, _):
        with pytest.raises(RequestError, match="engine died"):
            await pool.post("x", b"{}", Refusing(), LIMITS)
        assert pool.idle_connections == 0


async def test_who_stops_waiting_closes_the_connection() -> None:
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SIZED[0])
        assert await reader.read() == b""
        ended.set()

    async with answering(handler) as (pool, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pool.post("x", b"{}", Kept(), LIMITS)
        await asyncio.wait_for(ended.wait(), 1.0)


async def test_nobody_at_the_address_is_a_refusal() -> None:
    async with answering(replying(*SIZED)) as (pool, _):
        pass
    await asyncio.sleep(0.05)
    with pytest.raises(RequestError, match="refused: no connection to"):
        await pool.post("x", b"{}", Kept(), LIMITS)
