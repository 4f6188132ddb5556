"""The connection to a worker waits for a full backlog, and passes a real refusal on."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path

import pytest
import uvloop
from pydantic import ValidationError

from server.config import VariantConfig
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


@pytest.mark.parametrize(
    "url", ["unix:/a\0b", f"http://{'a' * 70}.invalid", "http://127.0.0.1:1", "unix:/" + "a" * 200]
)
async def test_addresses_that_are_none_are_faults_of_the_worker(url: str) -> None:
    client = WorkerClient(url, 5)
    with pytest.raises(WorkerUnreachable):
        await asyncio.wait_for(ask(client), 10)
    assert not await client.is_healthy(5)
    await client.close()


@pytest.mark.parametrize(
    "url", ["http://h:99999", "http://h:x", "http://h:0", "http://", "unix:relative", "ftp://h"]
)
def test_urls_that_cannot_be_workers_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        VariantConfig(name="a", url=url)
