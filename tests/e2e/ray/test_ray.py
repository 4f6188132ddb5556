"""The gateway on Ray Serve: two variants, streaming, disconnect, back-pressure, kill -9 of a replica."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def chat(model: str, script: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": script}], **fields}


async def ask(http: aiohttp.ClientSession, body: dict[str, Any]) -> tuple[int, bytes]:
    async with http.post("/v1/chat/completions", json=body) as response:
        return response.status, await response.read()


async def test_two_variants_and_a_route_answer(url: str) -> None:
    async with aiohttp.ClientSession(url) as http:
        for model in ("a", "b"):
            status, body = await ask(http, chat(model, "tokens=3"))
            assert (status, json.loads(body)["model"]) == (200, model)
        async with http.post("/v1/chat/completions", json=chat("r", "tokens=1", user="u")) as response:
            assert response.headers["x-bitloom-experiment"] == "r"
        status, body = await ask(http, chat("z", "tokens=1"))
        assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")


async def pieces_of(url: str, script: str) -> tuple[list[bytes], list[float]]:
    """Pieces of a stream as they come, and seconds since it was asked for."""
    async with aiohttp.ClientSession(url) as http:
        started = time.perf_counter()
        async with http.post("/v1/chat/completions", json=chat("a", script, stream=True)) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            pieces, times = [], []
            async for piece in response.content.iter_any():
                pieces.append(piece)
                times.append(time.perf_counter() - started)
    return pieces, times


async def test_a_stream_begins_at_once(url: str) -> None:
    pieces, times = await pieces_of(url, "tokens=4 delay=1")
    assert pieces[0].count(b"data: ") == 1
    assert times[0] < times[-1] - 1.5


async def test_pieces_are_coalesced_and_none_is_lost(url: str) -> None:
    pieces, _ = await pieces_of(url, "tokens=200 delay=0.005")
    text = b"".join(pieces)
    assert text.count(b"data: ") == 202
    assert all(f"word{number} ".encode() in text for number in range(200))
    assert text.endswith(b"data: [DONE]\n\n")
    assert len(pieces) < 150


async def test_a_client_that_leaves_stops_the_engine(url: str) -> None:
    """A variant of two places is free again at once, though each of the four streams had an hour to go."""
    async with aiohttp.ClientSession(url) as http:
        for _ in range(4):
            body = chat("b", "tokens=100000 delay=0.05", stream=True)
            async with http.post("/v1/chat/completions", json=body) as response:
                assert response.status == 200
                await response.content.readany()
            await asyncio.sleep(0.5)
        status, _ = await ask(http, chat("b", "tokens=1"))
        assert status == 200


async def test_a_full_variant_answers_429(url: str) -> None:
    async with aiohttp.ClientSession(url) as http:
        answers = await asyncio.gather(*(ask(http, chat("b", "tokens=2 delay=1")) for _ in range(12)))
        codes = sorted(status for status, _ in answers)
        assert set(codes) == {200, 429}
        assert codes.count(200) >= 3
        refused = [json.loads(body)["error"] for status, body in answers if status == 429]
        assert all("busy" in error["message"] for error in refused)
        assert (await ask(http, chat("b", "tokens=1")))[0] == 200


def actors(name: str) -> list[psutil.Process]:
    return [
        each
        for each in psutil.process_iter(["cmdline"])
        if f"ServeReplica:bitloom:{name}" in " ".join(each.info["cmdline"] or [])
    ]


async def test_a_killed_replica_is_an_error_and_then_another(url: str) -> None:
    async with aiohttp.ClientSession(url) as http:
        long = [
            asyncio.create_task(ask(http, chat("a", "tokens=200 delay=0.02", stream=True))) for _ in range(6)
        ]
        await asyncio.sleep(1)
        first, *_ = actors("a")
        first.kill()
        streams = await asyncio.gather(*long)
        whole = [body for _, body in streams if body.endswith(b"data: [DONE]\n\n")]
        broken = [body for _, body in streams if b'"error"' in body]
        assert broken
        assert len(whole) + len(broken) == 6
        await recovered(http)
        deadline = time.monotonic() + 120
        while len(actors("a")) < 2:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.5)


async def recovered(http: aiohttp.ClientSession) -> None:
    """The other replica answers: ten times in a row, soon."""
    deadline, good = time.monotonic() + 60, 0
    while good < 10:
        assert time.monotonic() < deadline
        status, _ = await ask(http, chat("a", "tokens=1"))
        good = good + 1 if status == 200 else 0
