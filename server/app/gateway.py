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
from server.app.rate_limit import RateLimiter
from server.app.routing import Router
from server.app.shadow import Shadows
from server.config import ServerConfig
from server.experiments.desk import ExperimentDesk
from server.keys import KeyRing, read_ring
from server.media.canonical import MediaGate
from server.media.fetch import Fetcher
from server.meters import MeterBoard
from server.metrics import Metrics
from server.supervisor.lifecycle import Lifecycle
from server.supervisor.supervisor import Supervisor
from server.tracing import Tracer, make_tracer
from server.variants import Variant

logger = logging.getLogger(__name__)

OnStartup = Callable[[WorkerError | None], None]


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that the routes use. `started_at` is in Unix seconds; `ring` is None without keys.

    A reload puts another in its place: a request keeps the one that it came to.
    """

    config: ServerConfig
    metrics: Metrics
    meters: MeterBoard
    router: Router
    admission: Admission
    media: MediaGate
    supervisor: Supervisor
    lifecycle: Lifecycle
    desk: ExperimentDesk
    shadows: Shadows
    tracer: Tracer
    ring: KeyRing | None
    limiter: RateLimiter
    started_at: int


@asynccontextmanager
async def running_gateway(
    config: ServerConfig, variants: tuple[Variant, ...], on_startup: OnStartup
) -> AsyncIterator[Gateway]:
    """A gateway whose workers start in the background; leaving the block stops them all.

    `on_startup` is called once: with None when every worker answers, or with what kept one from it.
    """
    gateway = _build(config, variants)
    startup = asyncio.create_task(gateway.supervisor.start())
    startup.add_done_callback(lambda task: _report(task, on_startup))
    judging = asyncio.create_task(gateway.desk.run(), name="experiments")
    try:
        yield gateway
    finally:
        startup.cancel()
        judging.cancel()
        await asyncio.wait({startup, judging})
        await gateway.shadows.close()
        await gateway.supervisor.stop()
        await gateway.desk.close()
        gateway.media.close()
        await asyncio.to_thread(gateway.tracer.close)


def _build(config: ServerConfig, variants: tuple[Variant, ...]) -> Gateway:
    metrics = Metrics()
    supervisor = Supervisor(config, variants, metrics)
    admission = Admission(config.limits, config.variants, metrics)
    router = Router(supervisor.workers, config.routes)
    desk = ExperimentDesk(config.state_dir, metrics, router.apply)
    desk.begin(config.routes)
    shadows = Shadows(supervisor.workers, admission, metrics)
    shadows.begin(config.routes)
    return Gateway(
        config=config,
        metrics=metrics,
        meters=MeterBoard(metrics),
        router=router,
        admission=admission,
        media=MediaGate(config.limits, metrics, Fetcher(config.fetch)),
        supervisor=supervisor,
        lifecycle=Lifecycle(config, supervisor, metrics),
        desk=desk,
        shadows=shadows,
        tracer=make_tracer(config.tracing),
        ring=read_ring(config.keys_file),
        limiter=RateLimiter(),
        started_at=int(time.time()),
    )


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
