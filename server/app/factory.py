"""Build the app from its configuration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from bitloom import __version__
from bitloom.errors import InputError, WorkerError
from server.app import chat, experiments, reload, score, status, text, variants, worker_metrics
from server.app.access import AccessMiddleware
from server.app.describe import DirectRoute
from server.app.failures import install_failures
from server.app.gateway import OnStartup, running_gateway
from server.app.reload import Reread
from server.app.request_id import RequestIdMiddleware
from server.app.shortcut import Shortcut
from server.config import ServerConfig, VariantConfig
from server.experiments.database import check_state
from server.keys import read_ring
from server.page import routes as page
from server.supervisor.placement import place_all
from server.tracing import check_tracing
from server.variants import resolve_variants


def _ignore_startup(fault: WorkerError | None) -> None:
    """/ready and the log tell."""


def create_app(
    config: ServerConfig, on_startup: OnStartup = _ignore_startup, reread: Reread | None = None
) -> FastAPI:
    """The gateway as an ASGI app; its lifespan starts and stops the workers.

    `on_startup` is called when all workers answer, or with the reason why one does not.
    `reread` gives the configuration as it is at a reload, None where that is always `config`. Raises
    InputError or StateError, before anything is started, for what cannot be served or used.
    """
    served = resolve_variants(config)
    place_all(config, served)
    read_ring(config.keys_file)
    check_state(config.state_dir)
    check_tracing(config.tracing)
    if config.log_dir is not None:
        _make_directory(config.log_dir)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_gateway(config, served, on_startup) as gateway:
            app.state.gateway = gateway
            app.state.reread = reread or (lambda loaded: _beside(config, loaded))
            app.state.reloading = asyncio.Lock()
            yield

    app = FastAPI(title="Bitloom", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(chat.router)
    app.include_router(text.router)
    app.include_router(score.router)
    app.include_router(experiments.router)
    app.include_router(reload.router)
    app.include_router(status.router)
    app.include_router(variants.router)
    app.include_router(worker_metrics.router)
    app.include_router(page.router)
    direct = {route.path: route.app for route in app.routes if isinstance(route, DirectRoute)}
    app.add_middleware(Shortcut, routes=direct)
    app.add_middleware(AccessMiddleware)
    app.add_middleware(RequestIdMiddleware)
    install_failures(app)
    return app


def _beside(config: ServerConfig, loaded: Sequence[VariantConfig]) -> ServerConfig:
    """The configuration that never changes, with the variants that were loaded meanwhile."""
    names = {variant.name for variant in config.variants}
    new = (variant for variant in loaded if variant.name not in names)
    return config.model_copy(update={"variants": (*config.variants, *new)})


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise InputError(f"{directory}: logs cannot go there ({exc.strerror}); give another log_dir") from exc
