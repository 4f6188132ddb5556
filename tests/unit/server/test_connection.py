"""The connection to a worker: one exchange after another, whatever the worker does to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from server.connection import HIGH_WATER_BYTES
from server.errors import WorkerConnectionLost
from server.upstream import WorkerClient

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\n"


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head + await reader.readexactly(length)


@asynccontextmanager
async def worker(serve: Serve) -> AsyncIterator[WorkerClient]:
    """A client of a server that answers as `serve` does."""
    ends: list[asyncio.Task[None]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ends.append(task)
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = WorkerClient(f"http://127.0.0.1:{port}/under", 5)
        yield client
        await client.close()
        await asyncio.wait(ends, timeout=5)


async def ask(client: WorkerClient, body: bytes = b"{}") -> tuple[int, bytes]:
    async with client.post("/x", body, "id", {"traceparent": "t"}) as answer:
        return answer.status, await answer.body()


async def test_one_connection_serves_one_request_after_another() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(b"new")
        while True:
            seen.append(await read_request(reader))
            writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

    async with worker(serve) as client:
        assert [await ask(client) for _ in range(3)] == [(200, b"abc")] * 3
    assert seen.count(b"new") == 1
    assert seen[1].startswith(b"POST /under/x HTTP/1.1\r\nhost: 127.0.0.1:")
    for field in (b"content-type: application/json", b"x-request-id: id", b"traceparent: t"):
        assert field + b"\r\n" in seen[1]
    assert seen[1].endswith(b"content-length: 2\r\n\r\n{}")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"content-length: 0\r\n\r\n", b""),
        (b"content-length: 2\r\nconnection: close\r\n\r\nab", b"ab"),
        (b"connection: close\r\n\r\nuntil the end", b"until the end"),
    ],
)
async def test_bodies_end_as_their_heads_say(answer: bytes, expected: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_kept = True
        while is_kept:
            await read_request(reader)
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + answer)
            is_kept = b"close" not in answer

    async with worker(serve) as client:
        assert [await ask(client) for _ in range(2)] == [(200, expected)] * 2


@pytest.mark.parametrize(
    "answer",
    [b"", HEAD, HEAD + b"content-length: 9\r\n\r\nab", b"SMTP ready\r\n\r\n", HEAD + b"a b: c\r\n\r\n"],
)
async def test_what_ends_early_or_is_no_http_is_lost(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)

    async with worker(serve) as client:
        with pytest.raises(WorkerConnectionLost):
            await asyncio.wait_for(ask(client), 5)


async def test_leaving_early_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)
        closed.set()

    async with worker(serve) as client:
        async with client.post("/x", b"{}", "id") as answer:
            assert await answer.piece() == b"a"
        await asyncio.wait_for(closed.wait(), 5)


async def test_silence_is_bounded_and_the_bound_moves() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(6):
            writer.write(b"1\r\na\r\n")
            await asyncio.sleep(0.1)
        await reader.read()

    async with worker(serve) as client:
        pieces = []
        async with client.post("/x", b"{}", "id").within(30) as answer:
            for _ in range(6):
                pieces.append(await answer.piece())
                answer.expect_within(0.4)
            with pytest.raises(TimeoutError):
                await answer.piece()
        assert pieces == [b"a"] * 6
        async with client.post("/x", b"{}", "id").within(30) as answer:
            answer.expect_within(0.05)
            await asyncio.sleep(0.8)
            assert await answer.piece() == b"a" * 6
            with pytest.raises(TimeoutError, match="silent"):
                await asyncio.wait_for(answer.piece(), 5)
        # The bound was that request's own.
        async with client.post("/x", b"{}", "id") as answer:
            await answer.piece()
            await asyncio.sleep(0.5)


async def test_a_slow_reader_holds_the_worker_back() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(HEAD + b"content-length: %d\r\n\r\n" % (64 << 20))
        for _ in range(64):
            writer.write(b"a" * (1 << 20))
            await writer.drain()
            sent += 1

    async with worker(serve) as client, client.post("/x", b"{}", "id") as answer:
        await asyncio.sleep(0.3)
        # Beside what is held here there are the buffers of the kernel.
        assert sent < 32
        assert len(await answer.piece()) < 4 * HIGH_WATER_BYTES
        assert 60 << 20 < len(await answer.body()) < 64 << 20


async def test_a_long_body_arrives_whole() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        writer.write(HEAD + b"content-length: 2\r\n\r\n" + request[-2:])

    async with worker(serve) as client:
        assert await ask(client, b"x" * (8 << 20) + b"yz") == (200, b"yz")


async def test_what_comes_unasked_ends_the_connection() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(HEAD + b"content-length: 0\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.write(HEAD + b"content-length: 1\r\n\r\nx")
        await reader.read()

    async with worker(serve) as client:
        assert await ask(client) == (200, b"")
        await asyncio.sleep(0.2)
        assert await ask(client) == (200, b"")
    assert connections == 2
