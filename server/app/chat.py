"""POST /v1/chat/completions: check the request, choose the variant, pass it on."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from server.app.body import read_json_body
from server.app.chat_request import ChatRequest, parse_chat
from server.app.describe import DirectRoute, json_body
from server.app.dispatch import Inference, dispatch
from server.app.gateway import gateway_of
from server.app.official_form import chat_form
from server.media.canonical import MediaGate

router = APIRouter(route_class=DirectRoute)


@router.post("/v1/chat/completions", response_model=None, openapi_extra=json_body(ChatRequest))
async def chat_completions(request: Request) -> Response:
    """Answer a chat of text and images, streamed or whole, as OpenAI's API defines it."""
    arrived = time.perf_counter()
    gateway = gateway_of(request)
    config = gateway.config
    body = await read_json_body(request, config.limits, config.timeouts)
    ready = time.perf_counter()
    chat = parse_chat(body, config.limits, config.worker.max_images)
    bodies = ChatBodies(gateway.media, chat)
    inference = Inference(
        path="/v1/chat/completions",
        operation="chat",
        model=chat.model,
        user=chat.user,
        is_stream=bool(chat.stream),
        make_body=bodies.for_variant,
        make_copy=bodies.for_shadow,
        arrived=arrived,
        ready=ready,
        prompt_characters=chat.text_length(),
        mend=chat_form,
    )
    return dispatch(gateway, request, inference)


class ChatBodies:
    """Worker bodies of one chat request, whose images are read once for all of them."""

    def __init__(self, media: MediaGate, chat: ChatRequest) -> None:
        self._media = media
        self._chat = chat
        self._urls: list[str] | None = None

    async def for_variant(self, variant: str) -> bytes:
        """JSON for the worker of `variant`."""
        return self._chat.body(variant, await self._canonical())

    async def for_shadow(self, variant: str) -> bytes:
        """The same, to be answered whole."""
        return self._chat.unstreamed().body(variant, await self._canonical())

    async def _canonical(self) -> list[str]:
        if self._urls is None:
            images = self._chat.images()
            self._urls = await self._media.canonicalize(images) if images else []
        return self._urls
