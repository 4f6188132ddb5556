"""Build the app from its configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from bitloom import __version__
from bitloom.errors import InputError, WorkerError
from server.app import chat, status, worker_metrics
from server.app.access import AccessMiddleware
from server.app.failures import install_failures
from server.app.gateway import OnStartup, running_gateway
from server.app.rate_limit import RateLimiter
from server.app.request_id import RequestIdMiddleware
from server.config import ServerConfig
from server.keys import KeyFile, KeyRing
from server.variants import resolve_variants


def _ignore_startup(fault: WorkerError | None) -> None:
    """/ready and the log tell."""


def create_app(config: ServerConfig, on_startup: OnStartup = _ignore_startup) -> FastAPI:
    """The gateway as an ASGI app; its lifespan starts and stops the workers.

    `on_startup` is called when all workers answer, or with the reason why one does not. Raises
    InputError, before anything is started, for a variant that cannot be served.
    """
    variants = resolve_variants(config)
    if config.log_dir is not None:
        _make_directory(config.log_dir)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_gateway(config, variants, on_startup) as gateway:
            app.state.gateway = gateway
            yield

    app = FastAPI(title="Bitloom", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(chat.router)
    app.include_router(status.router)
    app.include_router(worker_metrics.router)
    if config.keys_file is not None:
        ring = KeyRing(KeyFile.read(config.keys_file).keys)
        app.add_middleware(AccessMiddleware, ring=ring, limiter=RateLimiter())
    app.add_middleware(RequestIdMiddleware)
    install_failures(app)
    return app


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise InputError(f"{directory}: logs cannot go there ({exc.strerror}); give another log_dir") from exc
