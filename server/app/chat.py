"""POST /v1/chat/completions: check the request, choose the variant, pass it on."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from server.app.access import key_of
from server.app.body import read_json_body
from server.app.chat_request import ChatRequest, parse_chat
from server.app.gateway import Gateway, gateway_of
from server.app.relay import Ask, WorkerAnswer
from server.app.tally import Tally
from server.app.worker_faults import unavailable
from server.errors import Forbidden
from server.experiments.assignment import Assignment
from server.supervisor.state import State

router = APIRouter()

UNIT_HEADER = "x-bitloom-unit"
PIN_HEADER = "x-bitloom-variant"


@router.post("/v1/chat/completions", response_model=None)
async def chat_completions(request: Request) -> Response:
    """Answer a chat of text and images, streamed or whole, as OpenAI's API defines it."""
    arrived = time.perf_counter()
    gateway = gateway_of(request)
    config = gateway.config
    body = await read_json_body(request, config.limits, config.timeouts)
    ready = time.perf_counter()
    chat = parse_chat(body, config.limits, config.worker.max_images)
    assignment = assign(gateway, request, chat)
    worker = gateway.supervisor.workers[assignment.variant]
    tally = Tally(gateway.metrics, assignment, request.state.request_id, arrived)
    if worker.state is not State.READY:
        error = unavailable(assignment.variant, worker.retry_after_s)
        tally.failed(error.status, is_begun=False)
        raise error

    async def make_body() -> bytes:
        return await _body_for(gateway, chat, assignment.variant)

    ask = Ask(
        path="/v1/chat/completions",
        make_body=make_body,
        request_id=request.state.request_id,
        is_stream=bool(chat.stream),
        ready=ready,
        assignment=assignment,
    )
    return WorkerAnswer(ask, worker, gateway.admission, tally, config.timeouts)


def assign(gateway: Gateway, request: Request, chat: ChatRequest) -> Assignment:
    """Choose the variant; the unit is whoever must always get the same arm.

    It is the x-bitloom-unit header, else the request's `user`, else the API key, else the request itself.
    """
    key = key_of(request)
    unit = request.headers.get(UNIT_HEADER) or chat.user or (key.id if key else request.state.request_id)
    pin = request.headers.get(PIN_HEADER)
    if pin is not None and key is not None and "pin" not in key.scopes:
        raise Forbidden(
            f"this key may not choose arms with {PIN_HEADER}; leave the header out, or use a key with the "
            "scope pin",
            code="missing_scope",
        )
    assignment = gateway.router.assign(chat.model, unit, pin)
    request.state.assignment = assignment
    if assignment.experiment is not None:
        gateway.metrics.assignments.labels(assignment.experiment, assignment.variant).inc()
    return assignment


async def _body_for(gateway: Gateway, chat: ChatRequest, variant: str) -> bytes:
    images = chat.images()
    urls = await gateway.media.canonicalize(images) if images else []
    return chat.body(variant, urls)
