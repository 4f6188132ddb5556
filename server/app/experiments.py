"""What clients say of answers, and what operators ask of experiments and do to their arms."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.app.access import key_of
from server.app.body import read_json_body
from server.app.gateway import Gateway, gateway_of
from server.app.shadow import ShadowCount
from server.errors import BadRequest, NotFound, StateUnusable
from server.experiments.desk import ExperimentDesk
from server.experiments.errors import StateError, UnknownRequest
from server.experiments.experiment import Experiment
from server.experiments.report import ExperimentReport

logger = logging.getLogger(__name__)
router = APIRouter()


class Feedback(BaseModel):
    """POST /v1/feedback: what an answer is worth, 0 (useless) to 1 (right)."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[str, Field(min_length=1, max_length=64)]
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    comment: Annotated[str, Field(max_length=2000)] | None = None


class Shown(BaseModel):
    """A report, with what the route's shadow did since this gateway started."""

    report: ExperimentReport
    shadow: dict[str, ShadowCount]


@router.post("/v1/feedback")
async def feedback(request: Request) -> dict[str, Any]:
    """Keep a score for an earlier answer; it is on the disk when this returns. A second one replaces it."""
    gateway = gateway_of(request)
    body = await read_json_body(request, gateway.config.limits, gateway.config.timeouts)
    given = parse_feedback(body)
    desk = gateway.desk
    if not desk.keeps_state:
        raise NotFound(
            "this server keeps no feedback; its operator can give it a state_dir", code="feedback_not_kept"
        )
    key = key_of(request)
    try:
        await desk.add_feedback(given.request_id, given.score, given.comment, key.id if key else None)
    except UnknownRequest as exc:
        raise NotFound(
            "no request of yours has this id; give the x-request-id of an answer, with the key that asked",
            code="unknown_request",
            param="request_id",
        ) from exc
    except StateError as exc:
        raise _unusable(exc) from exc
    return {"object": "feedback", "request_id": given.request_id, "score": given.score}


@router.get("/admin/experiments")
async def experiments(request: Request) -> dict[str, list[str]]:
    """Names of the experiments."""
    return {"experiments": [*gateway_of(request).desk.experiments]}


@router.get("/admin/experiments/{name}")
async def experiment(request: Request, name: str) -> Shown:
    """How an experiment stands."""
    return await _shown(gateway_of(request), name)


@router.post("/admin/experiments/{name}/arms/{variant}/rollback")
async def roll_back(request: Request, name: str, variant: str) -> Shown:
    """Give an arm's traffic to control, now and after a restart."""
    gateway = gateway_of(request)
    _arm(gateway.desk, name, variant)
    gateway.desk.roll_back(name, variant)
    return await _saved(gateway, name)


@router.post("/admin/experiments/{name}/arms/{variant}/resume")
async def resume(request: Request, name: str, variant: str) -> Shown:
    """Give a rolled-back arm its traffic again, from the start of its ramp."""
    gateway = gateway_of(request)
    _arm(gateway.desk, name, variant)
    gateway.desk.resume(name, variant)
    return await _saved(gateway, name)


def parse_feedback(body: bytes) -> Feedback:
    """Validated feedback; raises BadRequest that names the field, never quoting its value."""
    try:
        return Feedback.model_validate_json(body)
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False)[0]
        param = ".".join(str(part) for part in fault["loc"])
        raise BadRequest(
            f"{param or 'body'}: {fault['msg']}", code="invalid_field", param=param or None
        ) from exc


async def _saved(gateway: Gateway, name: str) -> Shown:
    try:
        await gateway.desk.save()
    except StateError as exc:
        raise _unusable(exc) from exc
    return await _shown(gateway, name)


async def _shown(gateway: Gateway, name: str) -> Shown:
    _experiment(gateway.desk, name)
    try:
        report = await gateway.desk.report(name)
    except StateError as exc:
        raise _unusable(exc) from exc
    counts = {variant: count for (route, variant), count in gateway.shadows.counts.items() if route == name}
    return Shown(report=report, shadow=counts)


def _experiment(desk: ExperimentDesk, name: str) -> Experiment:
    found = desk.experiments.get(name)
    if found is None:
        known = ", ".join(desk.experiments) or "none"
        raise NotFound(f"no such experiment; this server has: {known}", code="unknown_experiment")
    return found


def _arm(desk: ExperimentDesk, name: str, variant: str) -> None:
    route = _experiment(desk, name).route
    arms = [arm.variant for arm in route.arms if arm.variant != route.control_arm]
    if variant not in arms:
        raise NotFound(
            f"no such arm; beside its control {route.control_arm} the experiment has: "
            f"{', '.join(arms) or 'none'}",
            code="unknown_arm",
        )


def _unusable(fault: StateError) -> StateUnusable:
    logger.error("%s", fault)
    return StateUnusable(
        "the state cannot be read or written; the server's log has the reason", code="state_unusable"
    )
