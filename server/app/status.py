"""What operators and clients ask of a server: its models, its health, its metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from server.app.gateway import gateway_of

router = APIRouter()


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """Every model name that can be asked for."""
    gateway = gateway_of(request)
    return {
        "object": "list",
        "data": [_model(name, gateway.started_at) for name in gateway.router.routes],
    }


@router.get("/v1/models/{model}")
async def model(request: Request, model: str) -> dict[str, Any]:
    """One model, by its name."""
    gateway = gateway_of(request)
    return _model(gateway.router.check(model), gateway.started_at)


@router.get("/health")
async def health() -> dict[str, str]:
    """Whether the gateway itself answers."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """200 when every variant can answer, 503 before, with the state of each."""
    supervisor = gateway_of(request).supervisor
    states = {name: worker.state.value for name, worker in supervisor.workers.items()}
    status = "ready" if supervisor.is_ready else "not ready"
    return JSONResponse({"status": status, "variants": states}, 200 if supervisor.is_ready else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """The gateway's metrics for Prometheus."""
    gateway = gateway_of(request)
    await gateway.supervisor.measure_memory()
    return Response(gateway.metrics.render(), media_type=CONTENT_TYPE_LATEST)


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "bitloom"}
