"""Everything a running gateway holds, built from its configuration and closed with it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from bitloom.errors import WorkerError
from server.app.admission import Admission
from server.app.routing import Router
from server.config import ServerConfig
from server.media.canonical import MediaGate
from server.metrics import Metrics
from server.supervisor.supervisor import Supervisor
from server.variants import Variant

logger = logging.getLogger(__name__)

OnStartup = Callable[[WorkerError | None], None]


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that the routes use. `started_at` is in Unix seconds."""

    config: ServerConfig
    metrics: Metrics
    router: Router
    admission: Admission
    media: MediaGate
    supervisor: Supervisor
    started_at: int


@asynccontextmanager
async def running_gateway(
    config: ServerConfig, variants: tuple[Variant, ...], on_startup: OnStartup
) -> AsyncIterator[Gateway]:
    """A gateway whose workers start in the background; leaving the block stops them all.

    `on_startup` is called once: with None when every worker answers, or with what kept one from it.
    """
    metrics = Metrics()
    gateway = Gateway(
        config=config,
        metrics=metrics,
        router=Router((variant.name for variant in variants), config.routes),
        admission=Admission(config.limits.outstanding, metrics),
        media=MediaGate(config.limits, metrics),
        supervisor=Supervisor(config, variants, metrics),
        started_at=int(time.time()),
    )
    for route in config.routes:
        total = sum(arm.weight for arm in route.arms)
        for arm in route.arms:
            metrics.arm_weight.labels(route.name, arm.variant).set(arm.weight / total)
    startup = asyncio.create_task(gateway.supervisor.start())
    startup.add_done_callback(lambda task: _report(task, on_startup))
    try:
        yield gateway
    finally:
        startup.cancel()
        await asyncio.wait({startup})
        await gateway.supervisor.stop()
        gateway.media.close()


def gateway_of(request: Request) -> Gateway:
    """The gateway that a request came to."""
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)
    return gateway


def _report(startup: asyncio.Task[None], on_startup: OnStartup) -> None:
    if startup.cancelled():
        return
    fault = startup.exception()
    if fault is None:
        on_startup(None)
    elif isinstance(fault, WorkerError):
        logger.critical("%s", fault)
        on_startup(fault)
    else:
        logger.critical("the workers could not be started", exc_info=fault)
        on_startup(WorkerError(f"the workers could not be started ({fault}); the log has the reason"))
