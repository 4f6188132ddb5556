"""The connection to a worker waits for a full backlog, and passes a real refusal on."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path

import pytest
import uvloop

from server.errors import WorkerUnreachable
from server.upstream import WorkerClient

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


async def ask(client: WorkerClient) -> bytes:
    async with client.post("/x", b"{}", "id") as answer:
        return await answer.body()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n{}")
    writer.write(ANSWER)
    await writer.drain()
    writer.close()


async def ask_before_anyone_accepts(path: Path) -> list[bytes]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        client = WorkerClient(f"unix:{path}", 5)
        asking = [asyncio.create_task(ask(client)) for _ in range(6)]
        done, _ = await asyncio.wait(asking, timeout=0.2)
        assert not done
        async with await asyncio.start_unix_server(answer, sock=listener):
            answers = await asyncio.gather(*asking)
        await client.close()
        return answers


def test_a_full_backlog_is_waited_for() -> None:
    """On uvloop, which the gateway runs on: there the kernel's EAGAIN is an error at once."""
    with tempfile.TemporaryDirectory(prefix="bl-") as folder:
        assert uvloop.run(ask_before_anyone_accepts(Path(folder) / "w")) == [b"{}"] * 6


async def test_a_socket_without_a_worker_is_a_fault_at_once() -> None:
    client = WorkerClient("unix:/nowhere/w", 5)
    with pytest.raises(WorkerUnreachable):
        await asyncio.wait_for(ask(client), 2)
    await client.close()
