"""From a checked request to the response that relays its answer: arm, worker, and who is told the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from fastapi import Request, Response

from server.app.access import key_of
from server.app.answer import read_completion
from server.app.gateway import Gateway
from server.app.relay import Ask, Mend, Read, WorkerAnswer, as_it_is
from server.app.tally import Asked, Ending, Tally
from server.app.waking import WakingAnswer
from server.app.worker_faults import unavailable
from server.errors import Forbidden
from server.experiments.assignment import Assignment

UNIT_HEADER = "x-bitloom-unit"
PIN_HEADER = "x-bitloom-variant"

MakeBody = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Inference:
    """What a client wants of a model, checked. `arrived` and `ready` are `time.perf_counter()` seconds.

    `make_body` gives the JSON for a variant's worker; `make_copy` the same without streaming, for a
    shadow, None where answers cannot be compared. `prompt_characters` stand for the prompt's tokens where the
    answer does not count them. `operation` is OpenTelemetry's `gen_ai.operation.name`. `is_optional` where a
    worker need not have the path; `read` takes what is counted from a whole answer, `mend` gives the
    answer, or events of it, the form that clients are promised.
    """

    path: str
    operation: str
    model: str
    user: str | None
    is_stream: bool
    make_body: MakeBody
    make_copy: MakeBody | None
    arrived: float
    ready: float
    prompt_characters: int = 0
    is_optional: bool = False
    read: Read = read_completion
    mend: Mend = as_it_is


def dispatch(gateway: Gateway, request: Request, inference: Inference) -> Response:
    """The response that asks the worker of the chosen variant when it is sent.

    Raises UnknownModel, Forbidden or BadRequest for a model or a pin that cannot be had, WorkerUnavailable
    where the variant's worker is not up and control may not answer for it. An evicted one is loaded first.
    """
    assignment = assign(gateway, request, inference)
    watched = _watch(gateway, request, inference, assignment)
    worker = gateway.supervisor.workers[assignment.variant]
    is_evicted = gateway.lifecycle.is_evicted(assignment.variant)
    if not worker.is_answering and not is_evicted:
        error = unavailable(assignment.variant, worker.retry_after_s)
        watched.tally.failed(error.status, is_begun=False)
        raise error

    async def make_body() -> bytes:
        return await inference.make_body(assignment.variant)

    ask = Ask(
        path=inference.path,
        make_body=make_body,
        request_id=request.state.request_id,
        is_stream=inference.is_stream,
        ready=inference.ready,
        assignment=assignment,
        headers=watched.headers,
        passed=watched.passed,
        is_optional=inference.is_optional,
        read=inference.read,
        mend=inference.mend,
        key=key_of(request),
    )

    def answer() -> Response:
        there = gateway.supervisor.workers[assignment.variant]
        return WorkerAnswer(ask, there, gateway.admission, watched.tally, gateway.config.timeouts)

    if not is_evicted:
        return answer()
    return WakingAnswer(gateway, assignment.variant, ask.key, watched.tally, answer)


@dataclass(frozen=True, slots=True)
class Watched:
    """Who follows a request: its tally, the trace (`headers` for the worker), the shadow (`passed`)."""

    tally: Tally
    headers: Mapping[str, str]
    passed: Callable[[bytes], None] | None


def _watch(gateway: Gateway, request: Request, inference: Inference, assignment: Assignment) -> Watched:
    key, request_id = key_of(request), request.state.request_id
    span = gateway.tracer.begin(inference.operation, request_id, request.headers.get("traceparent"))
    endings: list[Ending] = [gateway.desk.record, span.end]
    if key is not None:
        endings.append(gateway.limiter.charging(key))
    copy = gateway.shadows.watch(assignment, request_id, inference.path, inference.make_copy)
    if copy is not None:
        endings.append(copy.end)
    asked = Asked(
        assignment=assignment,
        request_id=request_id,
        key_id=key.id if key else None,
        is_stream=inference.is_stream,
        arrived=inference.arrived,
        prompt_characters=inference.prompt_characters,
    )
    tally = Tally(gateway.meters.of(assignment.route, assignment.variant), asked, endings)
    return Watched(tally, span.headers(), None if copy is None else copy.passed)


def assign(gateway: Gateway, request: Request, inference: Inference) -> Assignment:
    """Choose the variant; the unit is whoever must always get the same arm.

    It is the x-bitloom-unit header, else the request's `user`, else the API key, else the request itself.
    """
    key = key_of(request)
    unit = request.headers.get(UNIT_HEADER) or inference.user or (key.id if key else request.state.request_id)
    pin = request.headers.get(PIN_HEADER)
    if pin is not None and key is not None and "pin" not in key.scopes:
        raise Forbidden(
            f"this key may not choose arms with {PIN_HEADER}; leave the header out, or use a key with the "
            "scope pin",
            code="missing_scope",
        )
    assignment = _answerable(gateway, gateway.router.assign(inference.model, unit, pin))
    request.state.assignment = assignment
    if assignment.departure is not None:
        gateway.metrics.departures.labels(assignment.departure).inc()
    elif assignment.experiment is not None:
        gateway.metrics.assignments.labels(assignment.experiment, assignment.variant).inc()
    return assignment


def _answerable(gateway: Gateway, assignment: Assignment) -> Assignment:
    """Control in place of an arm whose worker is not up, where the route allows it and control is up."""
    workers = gateway.supervisor.workers
    if workers[assignment.variant].is_answering:
        return assignment
    other = gateway.router.fall_back(assignment)
    if other is None or not workers[other.variant].is_answering:
        return assignment
    return other
