"""/admin/variants: what is loaded, and how to change that while the server serves."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from fastapi import APIRouter, Request
from pydantic import ValidationError

from bitloom.errors import InputError, WorkerError
from bitloom.schema import Schema
from bitloom.variant import Engine
from server.app.body import read_json_body
from server.app.describe import json_body
from server.app.gateway import Gateway, gateway_of
from server.config import VariantConfig
from server.errors import BadRequest, Conflict, NotFound, WorkerFailed
from server.supervisor.placement import DoesNotFit

router = APIRouter(prefix="/admin/variants")


class Source(Schema):
    """The body of a swap: a variant without its name."""

    directory: Path | None = None
    url: str | None = None
    engine: Engine | Literal["auto"] | None = None


Read = TypeVar("Read", VariantConfig, Source)


@router.get("")
async def variants(request: Request) -> dict[str, Any]:
    """Every variant with its state, its place and its load."""
    gateway = gateway_of(request)
    return {"variants": [_shown(gateway, name) for name in gateway.supervisor.workers]}


@router.get("/{name}")
async def variant(request: Request, name: str) -> dict[str, Any]:
    """One variant."""
    return _shown(gateway_of(request), name)


@router.post("", openapi_extra=json_body(VariantConfig))
async def add(request: Request) -> dict[str, Any]:
    """Load a variant: {name, directory | url, engine}. Answers when it is ready."""
    gateway = gateway_of(request)
    wanted = await _read(request, VariantConfig)
    async with _said():
        await gateway.lifecycle.add(wanted)
    gateway.lifecycle.remember(wanted)
    gateway.admission.limit(wanted)
    return _shown(gateway, wanted.name)


@router.post("/{name}/load")
async def load(request: Request, name: str) -> dict[str, Any]:
    """Bring a drained, unloaded or evicted variant back. Answers when it is ready."""
    gateway = gateway_of(request)
    _check(gateway, name)
    async with _said():
        await gateway.lifecycle.load(name)
    return _shown(gateway, name)


@router.post("/{name}/drain")
async def drain(request: Request, name: str) -> dict[str, Any]:
    """Refuse new requests and wait for those that run; `unfinished` are left after the drain time."""
    gateway = gateway_of(request)
    _check(gateway, name)
    left = await gateway.lifecycle.drain(name)
    return {**_shown(gateway, name), "unfinished": left}


@router.post("/{name}/unload")
async def unload(request: Request, name: str) -> dict[str, Any]:
    """Drain a variant and end its worker; its name stays, for `load`."""
    gateway = gateway_of(request)
    _check(gateway, name)
    left = await gateway.lifecycle.unload(name)
    return {**_shown(gateway, name), "unfinished": left}


@router.delete("/{name}")
async def remove(request: Request, name: str) -> dict[str, Any]:
    """Unload a variant and forget its name."""
    gateway = gateway_of(request)
    _check(gateway, name)
    await gateway.lifecycle.remove(name)
    return {"name": name, "removed": True}


@router.post("/{name}/swap", openapi_extra=json_body(Source))
async def swap(request: Request, name: str) -> dict[str, Any]:
    """Serve another checkpoint under this name: {directory | url, engine}. Answers when it is served."""
    gateway = gateway_of(request)
    _check(gateway, name)
    source = await _read(request, Source)
    try:
        wanted = VariantConfig(name=name, **source.model_dump())
    except ValidationError as exc:
        raise _bad(exc) from exc
    async with _said():
        done = await gateway.lifecycle.swap(name, wanted)
    return {**_shown(gateway, name), "way": done.way, "seconds": round(done.seconds, 3)}


async def _read(request: Request, kind: type[Read]) -> Read:
    gateway = gateway_of(request)
    body = await read_json_body(request, gateway.config.limits, gateway.config.timeouts)
    try:
        return kind.model_validate_json(body)
    except ValidationError as exc:
        raise _bad(exc) from exc


def _bad(error: ValidationError) -> BadRequest:
    fault = error.errors(include_input=False, include_url=False)[0]
    param = ".".join(str(part) for part in fault["loc"]) or None
    return BadRequest(f"{param or 'body'}: {fault['msg']}", code="invalid_field", param=param)


@asynccontextmanager
async def _said() -> AsyncIterator[None]:
    """What keeps a variant from being served, as the operator is told it."""
    try:
        yield
    except DoesNotFit as exc:
        raise Conflict(str(exc), code="does_not_fit") from exc
    except InputError as exc:
        raise BadRequest(str(exc), code="invalid_variant") from exc
    except WorkerError as exc:
        raise WorkerFailed(str(exc), code="worker_failed") from exc


def _check(gateway: Gateway, name: str) -> None:
    if name not in gateway.supervisor.workers:
        known = ", ".join(gateway.supervisor.workers)
        raise NotFound(f"no such variant; this server has: {known}", code="unknown_variant")


def _shown(gateway: Gateway, name: str) -> dict[str, Any]:
    _check(gateway, name)
    worker = gateway.supervisor.workers[name]
    place = gateway.supervisor.places.get(name)
    directory: Path | None = worker.variant.directory
    return {
        "name": name,
        "state": worker.state.value,
        "engine": worker.variant.engine,
        "directory": None if directory is None else str(directory),
        "url": worker.variant.url,
        "plan": worker.variant.plan,
        "bpw": worker.variant.bpw,
        "gpu": None if place is None else place.pool.gpu,
        "needed_bytes": None if place is None else place.need.total_bytes,
        "kv_cache_bytes": gateway.supervisor.caches.get(name),
        "outstanding": worker.gate.outstanding,
        "idle_s": round(time.monotonic() - worker.gate.last_used, 3),
        "circuit_open": worker.circuit.wait_s > 0,
    }
