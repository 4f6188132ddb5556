"""An engine without a model, for tests and for measuring the gateway alone.

Serves the workers' OpenAI subset on a Unix socket. The last user message scripts the answer:
`tokens=8 delay=0.01` and any of the faults in `Script`. `python -m server.stub_engine --socket PATH
--name NAME [--fail-start]` runs it as a process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from aiohttp import web

from bitloom.plan import Component
from server.workers.lifetime import die_with_gateway

MAX_BODY_BYTES = 256 << 20
STUB_BYTES: dict[Component, int] = {"vision": 1000, "language": 2000}
"""What the model that it has not takes in memory, as its metrics say."""


@dataclass(frozen=True, slots=True)
class Script:
    """How to answer: `tokens` words, `delay` seconds apart; counts of -1 mean never.

    After `die` tokens the connection breaks, after `stall` it goes silent, after `error` an error event
    ends the stream, after `cut` the stream ends cleanly but early. `status` answers with that status,
    `garbage` with a page of HTML, `split` sends each event in two pieces, `empty` sends no words.
    `images` is the number of prompt tokens that are said to stand for images.
    """

    tokens: int = 4
    delay: float = 0.0
    die: int = -1
    stall: int = -1
    error: int = -1
    cut: int = -1
    status: int = 200
    garbage: int = 0
    split: int = 0
    empty: int = 0
    images: int = 0

    @classmethod
    def parse(cls, text: str) -> Script:
        """Script in a message; words that are no setting are ignored."""
        kinds = {each.name: float if each.name == "delay" else int for each in fields(cls)}
        pairs = (word.split("=", 1) for word in text.split() if "=" in word)
        settings = {name: kinds[name](value) for name, value in pairs if name in kinds}
        return cls(**settings)  # type: ignore[arg-type]


@dataclass(slots=True)
class StubEngine:
    """Keeps the bodies and headers it received and counts the requests whose connection was closed on it.

    While `is_failing` every chat is answered with status 500; `delay_s` is waited before each answer.
    `weights` are what vLLM's routes for exchanging weights loaded last; each answer and each chunk tells
    them as its `system_fingerprint`. As vLLM does, it takes new ones only while it is paused. It scores and
    embeds only where `is_matcher`: 0.5, and ones.
    """

    name: str
    is_healthy: bool = True
    is_failing: bool = False
    delay_s: float = 0.0
    weights: str = ""
    is_paused: bool = False
    is_matcher: bool = False
    running: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    aborted: int = 0

    def app(self) -> web.Application:
        """The engine's HTTP routes."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_post("/v1/{path:score|embeddings}", self._match)
        for path in ("/pause", "/resume", "/reset_prefix_cache", "/reset_mm_cache"):
            app.router.add_post(path, self._order)
        app.router.add_post("/collective_rpc", self._exchange)
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self.is_healthy else 503)

    async def _order(self, request: web.Request) -> web.Response:
        if request.path in {"/pause", "/resume"}:
            self.is_paused = request.path == "/pause"
        return web.Response()

    async def _exchange(self, request: web.Request) -> web.Response:
        """Take on weights; a directory called `broken` ends the process, as a wrong layout ends vLLM."""
        weights = (await request.json())["kwargs"]["weights_path"]
        if not self.is_paused or self.running:
            return web.Response(status=500, text="weights cannot change while requests run")
        if Path(weights).name == "broken":
            os._exit(1)
        await asyncio.sleep(0.05)
        self.weights = weights
        return web.Response()

    async def _metrics(self, _: web.Request) -> web.Response:
        lines = ["# TYPE stub_requests_total counter", f"stub_requests_total {len(self.received)}"]
        lines += [f'bitloom_worker_weight_bytes{{component="{n}"}} {b}' for n, b in STUB_BYTES.items()]
        lines += [f"bitloom_worker_loaded_resident_bytes {sum(STUB_BYTES.values())}", ""]
        return web.Response(text="\n".join(lines))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.received.append(body)
        self.headers.append(dict(request.headers))
        script = Script.parse(_last_text(body))
        await asyncio.sleep(self.delay_s)
        if self.is_failing:
            return web.json_response({"error": {"message": "the stub fails", "type": "stub"}}, status=500)
        if script.status != 200:
            error = {
                "message": "the stub was told to fail",
                "type": "stub",
                "param": None,
                "code": script.status,
            }
            return web.json_response({"error": error}, status=script.status)
        if script.garbage:
            return web.Response(text="<html>no</html>", content_type="text/html")
        self.running += 1
        try:
            if body.get("stream"):
                return await self._stream(request, body, script)
            return await self._whole(request, script)
        except (asyncio.CancelledError, ConnectionResetError):
            self.aborted += 1
            raise
        finally:
            self.running -= 1

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        """A text completion of one piece, streamed or whole."""
        body = await request.json()
        self.received.append(body)
        choice = {"index": 0, "text": "word", "logprobs": None, "finish_reason": "stop"}
        answer = {**self._head("text_completion"), "id": "cmpl-stub", "choices": [choice]}
        if not body.get("stream"):
            return web.json_response({**answer, "usage": _usage(1)})
        events = [json.dumps(answer)]
        if (body.get("stream_options") or {}).get("include_usage"):
            events.append(json.dumps({**answer, "choices": [], "usage": _usage(1)}))
        text = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
        return web.Response(text=text, content_type="text/event-stream")

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.received.append(body)
        words = (body["prompt"] if "prompt" in body else _last_text(body)).split()
        return web.json_response({"count": len(words), "max_model_len": 512, "tokens": [*range(len(words))]})

    async def _match(self, request: web.Request) -> web.Response:
        if not self.is_matcher:
            return web.Response(status=404)
        self.received.append(await request.json())
        kind = "score" if request.match_info["path"] == "score" else "embedding"
        entry = {"index": 0, "object": kind, kind: 0.5 if kind == "score" else [1.0, 1.0]}
        return web.json_response({**self._head("list"), "data": [entry], "usage": _usage(0)})

    async def _whole(self, request: web.Request, script: Script) -> web.StreamResponse:
        for step in range(script.tokens):
            await _fault_at(step, request, script)
            await asyncio.sleep(script.delay)
        text = "" if script.empty else "word " * script.tokens
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        answer = {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": _usage(script.tokens, script.images),
        }
        return web.json_response(answer)

    async def _stream(self, request: web.Request, body: dict[str, Any], script: Script) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        kind = "chat.completion.chunk"
        for step in range(script.tokens):
            await _fault_at(step, request, script)
            if step == script.cut:
                return response
            if step == script.error:
                await response.write(b'data: {"error": {"message": "stub", "code": 500}}\n\n')
                return response
            await asyncio.sleep(script.delay)
            delta = {"role": "assistant", "content": "" if script.empty else f"word{step} "}
            await _write(response, {**self._head(kind), "choices": [_delta(delta, None)]}, script)
        await _write(response, {**self._head(kind), "choices": [_delta({}, "stop")]}, script)
        if (body.get("stream_options") or {}).get("include_usage"):
            await _write(
                response,
                {**self._head(kind), "choices": [], "usage": _usage(script.tokens, script.images)},
                script,
            )
        await response.write(b"data: [DONE]\n\n")
        return response

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": "chatcmpl-stub",
            "object": kind,
            "created": int(time.time()),
            "model": self.name,
            "system_fingerprint": self.weights,
        }


async def _fault_at(step: int, request: web.Request, script: Script) -> None:
    if step == script.die and request.transport is not None:
        request.transport.abort()
    if step == script.stall:
        await asyncio.sleep(3600)


async def _write(response: web.StreamResponse, chunk: dict[str, Any], script: Script) -> None:
    event = b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
    if not script.split:
        await response.write(event)
        return
    await response.write(event[: len(event) // 2])
    await asyncio.sleep(0.005)
    await response.write(event[len(event) // 2 :])


def _delta(delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _usage(tokens: int, images: int = 0) -> dict[str, Any]:
    usage: dict[str, Any] = {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}
    if images:
        usage["prompt_tokens_details"] = {"cached_tokens": 0, "multimodal_tokens": {"image": images}}
    return usage


def _last_text(body: dict[str, Any]) -> str:
    content = body["messages"][-1].get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


def main() -> None:
    """Run one engine until SIGTERM."""
    parser = argparse.ArgumentParser(description="An engine without a model.")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--weights", default="")
    parser.add_argument("--fail-start", action="store_true")
    arguments = parser.parse_args()
    die_with_gateway()
    if arguments.fail_start:
        sys.exit("the stub was told not to start")
    app = StubEngine(arguments.name, weights=arguments.weights).app()
    web.run_app(app, path=str(arguments.socket), print=None, handler_cancellation=True)


if __name__ == "__main__":
    main()
