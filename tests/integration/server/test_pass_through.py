"""What goes through the gateway, byte for byte, and what it adds."""

from __future__ import annotations

import json
from typing import Any

import pytest


async def test_a_whole_answer_passes_unchanged(connect: Any) -> None:
    served = await connect("a", "b")
    async with served.http.post(
        "/v1/chat/completions", json={"model": "b", "messages": [{"role": "user", "content": "tokens=2"}]}
    ) as response:
        answer = await response.json()
        assert response.status == 200
        assert response.headers["x-bitloom-variant"] == "b"
        assert len(response.headers["x-request-id"]) == 32
    assert answer["choices"][0]["message"]["content"] == "word word "
    assert answer["model"] == "b"
    assert len(served.engines["b"].received) == 1
    assert not served.engines["a"].received


async def test_unknown_fields_reach_the_engine(connect: Any) -> None:
    served = await connect("a")
    await served.chat("x", min_p=0.1, vllm_xargs={"k": [1, 2]}, temperature=0)
    received = served.engines["a"].received[0]
    assert received["vllm_xargs"] == {"k": [1, 2]}
    assert (received["min_p"], received["temperature"]) == (0.1, 0)


@pytest.mark.parametrize("script", ["tokens=5", "tokens=5 split=1", "tokens=5 delay=0.01"])
async def test_a_stream_passes_byte_for_byte(connect: Any, script: str) -> None:
    served = await connect("a")
    status, body = await served.stream(script, stream_options={"include_usage": True})
    assert status == 200
    events = body.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    words = [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]]
    assert words == ["word0 ", "word1 ", "word2 ", "word3 ", "word4 ", None]
    # The stub writes compact JSON; anything else would be a re-encoding.
    assert all(" " not in event.replace("word", "").removeprefix("data: ")[:40] for event in events[:-2])


async def test_chunks_arrive_as_they_are_made(connect: Any) -> None:
    served = await connect("a")
    body = {"model": "a", "stream": True, "messages": [{"role": "user", "content": "tokens=3 stall=2"}]}
    async with served.http.post("/v1/chat/completions", json=body) as response:
        first = await response.content.readuntil(b"\n\n")
        second = await response.content.readuntil(b"\n\n")
    assert b"word0" in first
    assert b"word1" in second


async def test_what_a_stream_leaves_in_the_metrics(connect: Any) -> None:
    served = await connect("a")
    await served.stream("tokens=5", stream_options={"include_usage": True})
    await served.stream("tokens=3 empty=1")
    await served.chat("tokens=2")
    both = {"route": "a", "variant": "a"}
    assert served.metric("requests_total", code="200", finish_reason="stop", **both) == 3
    assert served.metric("time_to_first_token_seconds_count", **both) == 1
    assert served.metric("request_latency_seconds_count", **both) == 3
    assert served.metric("prompt_tokens_total", variant="a") == 14
    assert served.metric("generated_tokens_total", variant="a") == 7
    assert served.metric("empty_outputs_total", variant="a") == 1
    await served.until(lambda: served.metric("requests_in_flight", variant="a") == 0)


async def test_ids_are_the_servers_own(connect: Any) -> None:
    served = await connect("a")
    ids = set()
    for _ in range(2):
        async with served.http.get("/v1/models", headers={"x-request-id": "mine"}) as response:
            ids.add(response.headers["x-request-id"])
    assert len(ids) == 2
    assert "mine" not in ids


async def test_headers_of_the_client_stay_at_the_gateway(connect: Any) -> None:
    """Keys are for the gateway: an engine never sees them."""
    served = await connect("a")
    async with served.http.post(
        "/v1/chat/completions",
        json={"model": "a", "messages": [{"role": "user", "content": "x"}]},
        headers={"authorization": "Bearer secret", "cookie": "c=1"},
    ) as response:
        assert response.status == 200
        request_id = response.headers["x-request-id"]
    seen = {name.lower(): value for name, value in served.engines["a"].headers[0].items()}
    assert seen["x-request-id"] == request_id
    assert not {"authorization", "cookie"} & set(seen)
