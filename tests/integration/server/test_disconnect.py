"""A client that leaves takes its request out of the engine."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest


def request_bytes(body: dict[str, Any]) -> bytes:
    payload = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(payload)}\r\n"
    return head.encode() + b"content-type: application/json\r\n\r\n" + payload


@pytest.mark.parametrize("is_stream", [False, True])
async def test_the_engine_is_told_within_a_second(connect: Any, is_stream: bool) -> None:
    served = await connect("a")
    body = {"model": "a", "stream": is_stream, "messages": [{"role": "user", "content": "tokens=9 stall=2"}]}
    port = int(served.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_bytes(body))
    await served.until(lambda: len(served.engines["a"].received) == 1)
    if is_stream:
        await reader.readuntil(b"word1")
    writer.close()
    await writer.wait_closed()
    await served.until(lambda: served.engines["a"].aborted == 1, timeout_s=1.0)
    assert served.metric("requests_aborted_total", variant="a") == 1
    await served.until(lambda: served.metric("requests_in_flight", variant="a") == 0)
    labels = {"route": "a", "variant": "a", "finish_reason": "none"}
    assert served.metric("requests_total", code="499", **labels) == 1
    assert (await served.chat("x"))[0] == 200


async def test_a_client_that_leaves_inside_its_body(connect: Any) -> None:
    served = await connect("a")
    port = int(served.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_bytes({"model": "a"})[:-3])
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
    await served.until(lambda: served.metric("requests_rejected_total", reason="client_gone") == 1)
    assert not served.engines["a"].received
