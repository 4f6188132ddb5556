"""A fake endpoint over real sockets, with scripted faults, and an oracle that answers for a data set."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from eval_client.config import RunConfig
from eval_client.datasets import Dataset, load_dataset
from eval_client.prompts import PRESETS

MODEL = "fake"
Show = Callable[[web.Request, "Asked"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Asked:
    """One chat request as the endpoint saw it."""

    prompt: str
    image_sha256: str
    is_stream: bool
    body: dict[str, Any]
    attempt: int


class FakeEndpoint:
    """Answers chat requests; `fault(asked)` names a fault to show instead, or None."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], str] = lambda asked: "a large red circle ."
        self.fault: Callable[[Asked], str | None] = lambda asked: None
        self.has_logprobs = True
        self.delay_s = 0.0
        self.metrics: str | None = None
        self.pool: Callable[[str, dict[str, Any]], dict[str, Any] | None] = lambda path, body: None
        self.prompt_logprobs: Callable[[Asked], list[Any]] | None = None
        self.pooled: list[str] = []
        self._attempts: Counter[tuple[str, str]] = Counter()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/{path:score|embeddings}", self._pool)
        return app

    def times_asked(self) -> Counter[tuple[str, str]]:
        return Counter((each.prompt, each.image_sha256) for each in self.asked)

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1}]})

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(status=404) if self.metrics is None else web.Response(text=self.metrics)

    async def _pool(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.pooled.append(path)
        entry = self.pool(path, await request.json())
        return web.Response(status=404) if entry is None else web.json_response({"data": [entry]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = self._read(await request.json())
        self.asked.append(asked)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if fault := self.fault(asked):
            show: Show = getattr(self, f"_fault_{fault}")
            return await show(request, asked)
        text = self.answer(asked)
        if asked.is_stream:
            return await self._stream(request, text)
        return web.json_response(self._whole(asked, text))

    def _read(self, body: dict[str, Any]) -> Asked:
        image, text = body["messages"][0]["content"]
        content = base64.b64decode(image["image_url"]["url"].partition(",")[2])
        sha256 = hashlib.sha256(content).hexdigest()
        self._attempts[text["text"], sha256] += 1
        attempt = self._attempts[text["text"], sha256]
        return Asked(text["text"], sha256, bool(body.get("stream")), body, attempt)

    def _whole(self, asked: Asked, text: str) -> dict[str, Any]:
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        if asked.body.get("logprobs") and self.has_logprobs:
            other = "no" if text == "yes" else "yes"
            top: list[dict[str, Any]] = [{"token": text, "logprob": -0.1}, {"token": other, "logprob": -2.5}]
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
        extra = {} if self.prompt_logprobs is None else {"prompt_logprobs": self.prompt_logprobs(asked)}
        head = {"id": "x", "object": "chat.completion", "model": MODEL}
        return {**head, "choices": [choice], "usage": usage, **extra}

    async def _stream(
        self, request: web.Request, text: str, *, until: int | None = None, gap_s: float = 0.0
    ) -> web.StreamResponse:
        response = await self._open(request)
        words = [word + " " for word in text.split(" ")]
        words[-1] = words[-1][:-1]
        for word in words[:until]:
            await send(response, delta(content=word))
            if gap_s:
                await asyncio.sleep(gap_s)
        if until is not None:
            return await self._cut(request, response)
        await send(response, delta(finish="stop"))
        usage = {"prompt_tokens": 10, "completion_tokens": len(words) + 1}
        await send(response, {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _open(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await send(response, delta(role="assistant", content=""))
        return response

    async def _cut(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return response

    async def _fault_server_error(self, request: web.Request, asked: Asked) -> web.Response:
        return web.json_response({"error": {"message": "worker lost", "type": "x"}}, status=503)

    async def _fault_bad_request(self, request: web.Request, asked: Asked) -> web.Response:
        return web.json_response({"error": {"message": "no such image"}}, status=400)

    async def _fault_error_body(self, request: web.Request, asked: Asked) -> web.Response:
        return web.json_response({"error": {"message": "out of memory", "type": "x"}})

    async def _fault_error_event(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        response = await self._open(request)
        await send(response, delta(content="a large "))
        await send(response, {"error": {"message": "engine died"}})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _fault_garbage(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        response = await self._open(request)
        await response.write(b"data: <html>oops\n\n")
        return response

    async def _fault_not_utf8(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        response = await self._open(request)
        await response.write(b'data: {"choices": "\xff"}\n\n')
        return response

    async def _fault_html(self, request: web.Request, asked: Asked) -> web.Response:
        return web.Response(text="<html>sign in</html>", content_type="text/html")

    async def _fault_empty_choices(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await send(response, {"choices": [], "usage": None})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _fault_half(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        return await self._stream(request, self.answer(asked), until=2)

    async def _fault_ends_early(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        """The stream ends as HTTP should, but without finish_reason and [DONE]."""
        response = await self._open(request)
        await send(response, delta(content="a large "))
        return response

    async def _fault_stall(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        response = await self._open(request)
        await send(response, delta(content="a "))
        await asyncio.sleep(30)
        return response

    async def _fault_slow(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        return await self._stream(request, " ".join(["a"] * 60), gap_s=0.1)

    async def _fault_aborted(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        response = await self._open(request)
        await send(response, delta(content="a "))
        await send(response, delta(finish="abort"))
        await response.write(b"data: [DONE]\n\n")
        return response


def delta(
    *, role: str | None = None, content: str | None = None, finish: str | None = None
) -> dict[str, Any]:
    parts = {key: value for key, value in (("role", role), ("content", content)) if value is not None}
    return {"choices": [{"index": 0, "delta": parts, "finish_reason": finish}]}


async def send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(f"data: {json.dumps(event)}\n\n".encode())


@dataclass
class Served:
    """A fake endpoint that is listening."""

    fake: FakeEndpoint
    url: str
    stop: Callable[[], Coroutine[Any, Any, None]]

    def config(self, **settings: object) -> RunConfig:
        """A small run against it: 4 captions, 6 questions, one shard of 4 images."""
        small = {"captions": 4, "questions": 6, "retrieval": 4, "shard": 4, "concurrency": 3}
        timed = {"timed_sequential": 2, "timed_loaded": 3, "backoff_s": 0.01, "retries": 2}
        fixed = {"endpoint": self.url, "model": MODEL, "data": "scenes:test"}
        return RunConfig.model_validate(fixed | small | timed | settings)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    fake = FakeEndpoint()
    server = TestServer(fake.app())
    await server.start_server()
    try:
        yield Served(fake, str(server.make_url("")).rstrip("/"), server.close)
    finally:
        await server.close()


Oracle = Callable[[RunConfig], Callable[[Asked], str]]


@pytest.fixture
def oracle() -> Oracle:
    """Right answers to everything that a run on scenes asks."""
    return lambda config: right_answers(load_dataset(config.data, config.limits))


def right_answers(dataset: Dataset) -> Callable[[Asked], str]:
    prompts = PRESETS["zoo"]
    known: dict[tuple[str, str], str] = {}
    for item in dataset.captions:
        known[prompts.caption, item.image.read().sha256] = item.references[0]
    for question in dataset.questions:
        known[prompts.ask(question.question), question.image.read().sha256] = question.answers[0]
    for shard in dataset.shards:
        for image in shard.images:
            for candidate in shard.captions:
                key = prompts.ask_match(candidate.text), image.read().sha256
                known[key] = "yes" if candidate.image_id == image.image_id else "no"
    return lambda asked: known.get((asked.prompt, asked.image_sha256), "a large red circle .")
