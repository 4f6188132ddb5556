"""`serve run deploy.ray.app:app config=ray.yaml`: the gateway, and each local variant as a deployment.

Without `config` the file is ray.yaml, or what BITLOOM_RAY_CONFIG names. Everything is checked before anything
starts, as `bitloom serve` does.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

import ray
from bitloom.errors import InputError
from deploy.ray.bridge import Bridge
from deploy.ray.config import RayConfig, Spread, check, unmet
from deploy.ray.replica import VariantReplica
from ray import serve
from server.app import create_app
from server.config import ServerConfig
from server.settings import resolve_config
from server.variants import Variant, resolve_variants
from server.workers.command import PARENT_ENV, worker_command

logger = logging.getLogger(__name__)

DEFAULT_CONFIG = "ray.yaml"
GATEWAY = "gateway"


def app(arguments: dict[str, str]) -> Any:
    """The application that `serve run` starts; raises InputError for what cannot be served."""
    path = Path(arguments.get("config") or os.environ.get("BITLOOM_RAY_CONFIG", DEFAULT_CONFIG)).resolve()
    if not path.is_file():
        raise InputError(f"{path}: not there; give the file as `serve run deploy.ray.app:app config=FILE`")
    spread = RayConfig.read(path)
    server = resolve_config(path.parent / spread.server, os.environ, {})
    check(spread, server)
    # `serve build` calls this without a cluster, and asking for its resources would start one.
    for line in unmet(spread, ray.cluster_resources()) if ray.is_initialized() else ():
        logger.warning(line)
    local = [variant for variant in resolve_variants(server) if variant.directory is not None]
    replicas = [
        _deployment(variant, server, spread.variants.get(variant.name, Spread())) for variant in local
    ]
    names = tuple(variant.name for variant in local)

    def build() -> ASGIApp:
        return bridged_gateway(server, names)

    # The class takes the replicas so that Serve knows them as part of the application.
    gateway = serve.deployment(serve.ingress(build)()).options(
        name=GATEWAY,
        num_replicas=spread.gateways,
        ray_actor_options={"num_cpus": spread.gateway_cpus},
        # Streams are held, not computed; the variants' queues say when there are too many.
        max_ongoing_requests=server.limits.outstanding * max(1, len(server.variants)),
    )
    return gateway.bind(*replicas)


def _deployment(variant: Variant, server: ServerConfig, spread: Spread) -> Any:
    argv, environment = worker_words(variant, server)
    deployment = serve.deployment(VariantReplica).options(name=variant.name, **spread.options())
    return deployment.bind(variant.name, argv, environment, server.timeouts.start_s)


def worker_words(variant: Variant, server: ServerConfig) -> tuple[tuple[str, ...], dict[str, str]]:
    """The worker's command with {socket} in it, and its environment; the parent is not known yet."""
    assert variant.directory is not None
    assert variant.engine is not None
    command = worker_command(variant.engine, variant.directory, variant.name, Path("{socket}"), server.worker)
    environment = {name: value for name, value in command.env.items() if name != PARENT_ENV}
    if server.command is None:
        return command.argv, environment
    values: Mapping[str, str] = {
        "directory": str(variant.directory), "name": variant.name, "socket": "{socket}"
    }  # fmt: skip
    return tuple(word.format_map(values) for word in server.command), {}


def bridged_gateway(server: ServerConfig, names: tuple[str, ...]) -> ASGIApp:
    """The gateway with each of the named variants behind a bridge; runs in the gateway's replica."""
    folder = Path(tempfile.mkdtemp(prefix="bitloom-"))
    sockets = {name: folder / f"{index}.sock" for index, name in enumerate(names)}
    variants = tuple(
        each.model_copy(update={"directory": None, "url": f"unix:{sockets[each.name]}", "engine": None})
        if each.name in sockets
        else each
        for each in server.variants
    )
    return Bridged(create_app(server.model_copy(update={"variants": variants})), sockets)


class Bridged:
    """An ASGI app whose lifespan holds the bridges open."""

    def __init__(self, inner: ASGIApp, sockets: Mapping[str, Path]) -> None:
        self._inner = inner
        self._sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the inner app; at its start and end also the bridges."""
        if scope["type"] != "lifespan":
            await self._inner(scope, receive, send)
            return
        async with self._bridges():
            await self._inner(scope, receive, send)

    @asynccontextmanager
    async def _bridges(self) -> AsyncIterator[None]:
        app_name = serve.get_replica_context().app_name
        async with AsyncExitStack() as stack:
            for name, socket in self._sockets.items():
                # Not by reference: pieces come over gRPC, past the object store, which takes half as long.
                handle = serve.get_deployment_handle(name, app_name=app_name).options(
                    stream=True, _by_reference=False
                )
                await stack.enter_async_context(Bridge(name, app_name, handle).listening(socket))
            yield
