"""POST /v1/completions, /v1/embeddings and /tokenize, passed on to the variant's worker.

Texts go in; embeddings and tokens also of messages, whose images pass the same checks as a chat's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from server.app.answer import read_count
from server.app.body import read_json_body
from server.app.chat import ChatBodies
from server.app.chat_request import ChatRequest, parse_chat
from server.app.describe import DirectRoute, json_body
from server.app.dispatch import Inference, dispatch
from server.app.gateway import Gateway, gateway_of
from server.app.official_form import text_form
from server.app.text_request import (
    CompletionRequest,
    EmbeddingRequest,
    TextRequest,
    TokenizeRequest,
    length_of,
    parse_text,
)
from server.errors import BadRequest

router = APIRouter(route_class=DirectRoute)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request whose body is read. Times are `time.perf_counter()` seconds."""

    gateway: Gateway
    body: bytes
    arrived: float
    ready: float

    @classmethod
    async def of(cls, request: Request) -> Arrival:
        """Read the body; raises what `read_json_body` does."""
        arrived = time.perf_counter()
        gateway = gateway_of(request)
        body = await read_json_body(request, gateway.config.limits, gateway.config.timeouts)
        return cls(gateway, body, arrived, time.perf_counter())


def _bodies(text: TextRequest) -> Callable[[str], Awaitable[bytes]]:
    async def make(variant: str) -> bytes:
        return text.body(variant)

    return make


@router.post("/v1/completions", response_model=None, openapi_extra=json_body(CompletionRequest))
async def completions(request: Request) -> Response:
    """Continue a text, streamed or whole, as OpenAI's API defines it."""
    here = await Arrival.of(request)
    text = parse_text(CompletionRequest, here.body, here.gateway.config.limits)
    inference = Inference(
        path="/v1/completions",
        operation="text_completion",
        model=text.model,
        user=text.user,
        is_stream=bool(text.stream),
        make_body=_bodies(text),
        make_copy=_bodies(text.unstreamed()),
        arrived=here.arrived,
        ready=here.ready,
        prompt_characters=length_of(text.prompt),
        is_optional=True,
        mend=text_form,
    )
    return dispatch(here.gateway, request, inference)


@router.post("/v1/embeddings", response_model=None, openapi_extra=json_body(EmbeddingRequest, ChatRequest))
async def embeddings(request: Request) -> Response:
    """Embed texts, or a message of an image or a text, where the variant's worker can."""
    here = await Arrival.of(request)
    limits = here.gateway.config.limits
    if not _has_messages(here.body):
        text = parse_text(EmbeddingRequest, here.body, limits)
        return dispatch_counted(here, request, "/v1/embeddings", text, _bodies(text), length_of(text.input))
    chat = parse_chat(here.body, limits, here.gateway.config.worker.max_images)
    if (chat.model_extra or {}).get("input") is not None:
        raise BadRequest("input: not beside messages; leave one out", code="invalid_field", param="input")
    make_body = ChatBodies(here.gateway.media, chat).for_variant
    return dispatch_counted(here, request, "/v1/embeddings", chat, make_body, chat.text_length())


@router.post("/tokenize", response_model=None, openapi_extra=json_body(TokenizeRequest, ChatRequest))
async def tokenize(request: Request) -> Response:
    """Tokens of a text, or of a chat as the variant's template writes it."""
    here = await Arrival.of(request)
    limits = here.gateway.config.limits
    if not _has_messages(here.body):
        text = parse_text(TokenizeRequest, here.body, limits)
        return dispatch_counted(here, request, "/tokenize", text, _bodies(text), 0)
    chat = parse_chat(here.body, limits, here.gateway.config.worker.max_images)
    make_body = ChatBodies(here.gateway.media, chat).for_variant
    return dispatch_counted(here, request, "/tokenize", chat, make_body, 0)


def dispatch_counted(
    here: Arrival,
    request: Request,
    path: str,
    asked: Any,
    make_body: Callable[[str], Awaitable[bytes]],
    characters: int,
) -> Response:
    """The response to a request whose answer comes whole and only tells its usage."""
    inference = Inference(
        path=path,
        operation="embeddings",
        model=asked.model,
        user=asked.user,
        is_stream=False,
        make_body=make_body,
        make_copy=None,
        arrived=here.arrived,
        ready=here.ready,
        prompt_characters=characters,
        is_optional=True,
        read=read_count,
    )
    return dispatch(here.gateway, request, inference)


def _has_messages(body: bytes) -> bool:
    """Whether a body, which may be anything, is an object with messages."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "messages" in document
