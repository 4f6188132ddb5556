"""The worker's HTTP routes."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from server.errors import NotFound, RequestError
from server.workers.memory import loaded_memory, tensor_bytes
from server.workers.transformers_worker.documents import Documents
from server.workers.transformers_worker.engine import Answer, Engine, Piece
from server.workers.transformers_worker.matching_service import MatchingService
from server.workers.transformers_worker.metrics import WorkerMetrics
from server.workers.transformers_worker.protocol import ChatRequest, parse_chat
from server.workers.transformers_worker.service import Service

logger = logging.getLogger(__name__)

CLIENT_GONE = 499


def create_app(name: str, engine: Engine) -> FastAPI:
    """App that serves `engine` as model `name`; the engine is closed when the app ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        engine.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    metrics = WorkerMetrics(loaded_memory(tensor_bytes(engine.loaded.model)))
    service = (MatchingService if engine.loaded.is_matcher else ChatService)(name, engine, metrics)
    app.add_exception_handler(RequestError, _request_error)
    app.add_exception_handler(Exception, _unforeseen)
    app.add_api_route("/v1/chat/completions", service.chat, methods=["POST"], response_model=None)
    app.add_api_route("/v1/score", service.score, methods=["POST"], response_model=None)
    app.add_api_route("/v1/embeddings", service.embeddings, methods=["POST"], response_model=None)
    app.add_api_route("/v1/models", service.models)
    app.add_api_route("/health", _health)
    app.add_api_route("/metrics", service.scrape)
    return app


class ChatService(Service):
    """Answers chat requests with one engine."""

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        chat = parse_chat(await request.body())
        self.check_model(chat.model)
        documents = Documents(self.name, self.engine.loaded.tokenizer, bool(chat.logprobs))
        if not chat.stream:
            return await self._whole(request, chat, documents)
        events = self._events(chat, documents)
        # The first event comes before the status line: a prompt that cannot be used is a 400.
        first = await anext(events)
        return StreamingResponse(_resumed(first, events), media_type="text/event-stream")

    async def score(self) -> None:
        """POST /v1/score: not with a model that answers."""
        raise self._lacking("/v1/score")

    async def embeddings(self) -> None:
        """POST /v1/embeddings: not with a model that answers."""
        raise self._lacking("/v1/embeddings")

    def _lacking(self, path: str) -> NotFound:
        return NotFound(
            f"model: {self.name} answers chats and has no {path}; ask /v1/chat/completions",
            code="not_served",
            param="model",
        )

    async def _whole(self, request: Request, chat: ChatRequest, documents: Documents) -> Response:
        pieces: list[Piece] = []
        async with self._measured(chat) as (answer, stream):
            async for piece in stream:
                pieces.append(piece)
                if await request.is_disconnected():
                    return Response(status_code=CLIENT_GONE)
            return JSONResponse(documents.completion(pieces, answer))

    async def _events(self, chat: ChatRequest, documents: Documents) -> AsyncGenerator[bytes]:
        async with self._measured(chat) as (answer, stream):
            yield _event(documents.opening())
            async for piece in stream:
                if piece.text or piece.finish_reason or chat.logprobs:
                    yield _event(documents.chunk(piece))
            if chat.stream_options is not None and chat.stream_options.include_usage:
                yield _event(documents.closing(answer))
        yield b"data: [DONE]\n\n"

    @asynccontextmanager
    async def _measured(self, chat: ChatRequest) -> AsyncIterator[tuple[Answer, AsyncIterator[Piece]]]:
        started = time.monotonic()
        metrics, outcome = self.metrics, "failed"
        with metrics.running.track_inprogress():
            try:
                async with (
                    self.engine.answer(chat) as answer,
                    aclosing(self._timed(answer, started)) as stream,
                ):
                    outcome = "aborted"
                    metrics.prompt_tokens.inc(answer.prompt_length)
                    yield answer, stream
                    outcome = "completed" if answer.is_finished else "aborted"
            finally:
                metrics.requests.labels(outcome).inc()
                metrics.request_seconds.observe(time.monotonic() - started)

    async def _timed(self, answer: Answer, started: float) -> AsyncGenerator[Piece]:
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                if answer.completion_length == 1:
                    self.metrics.first_token_seconds.observe(time.monotonic() - started)
                self.metrics.generation_tokens.inc()
                yield piece


async def _resumed(first: bytes, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(events):
        yield first
        async for event in events:
            yield event


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


async def _health() -> Response:
    return Response(status_code=200)


async def _request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return JSONResponse(error.document(), error.status, error.headers())


async def _unforeseen(_: Request, error: Exception) -> Response:
    logger.error("the engine failed", exc_info=error)
    failure = RequestError("the engine failed; the worker's log has the reason", code="internal_error")
    return JSONResponse(failure.document(), 500)
