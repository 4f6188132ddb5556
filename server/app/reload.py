"""Read the configuration again while serving: POST /admin/reload, or SIGHUP.

The new configuration is checked whole before any of it is in force; a request keeps the one it came under.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from fastapi import APIRouter, FastAPI, Request

from bitloom.errors import BitloomError, InputError
from server.app.gateway import Gateway
from server.config import ServerConfig, VariantConfig
from server.errors import BadRequest
from server.keys import read_ring
from server.supervisor.placement import unequal_caches
from server.variants import resolve_variants

logger = logging.getLogger(__name__)
router = APIRouter()

# Gives the configuration as it is now, with these variants, which are loaded, beside its own.
Reread = Callable[[Sequence[VariantConfig]], ServerConfig]
# What a running server takes over; for anything else it must be started anew.
RELOADED = frozenset({"variants", "routes", "limits", "timeouts", "keys_file"})


@router.post("/admin/reload")
async def post_reload(request: Request) -> dict[str, list[str]]:
    """Put the configuration as it is now into force; 400 and no change where it cannot be used."""
    try:
        return {"changed": await reload(request.app)}
    except BitloomError as exc:
        raise BadRequest(f"nothing was changed: {exc}", code="invalid_configuration") from exc


async def reload(app: FastAPI) -> list[str]:
    """Keys of the configuration that changed; raises InputError where it cannot be used.

    Requests go on: none waits, and none sees half of the change.
    """
    reloading: asyncio.Lock = app.state.reloading
    async with reloading:
        reread: Reread = app.state.reread
        gateway: Gateway = app.state.gateway
        config = await asyncio.to_thread(reread, gateway.lifecycle.loaded)
        changed = changes(gateway.config, config)
        await _put_in_force(app, config)
    logger.info("configuration read again; changed: %s", ", ".join(changed) or "nothing")
    return changed


def changes(now: ServerConfig, then: ServerConfig) -> list[str]:
    """Keys that differ; raise InputError where one of them needs a restart."""
    changed = [key for key in ServerConfig.model_fields if getattr(now, key) != getattr(then, key)]
    fixed = [key for key in changed if key not in RELOADED]
    if fixed:
        raise InputError(
            f"{', '.join(fixed)} cannot change while the server runs; restart it, or put the old value back"
        )
    return changed


async def _put_in_force(app: FastAPI, config: ServerConfig) -> None:
    """Everything that can fail or wait comes first; the change itself is one step of the event loop."""
    gateway: Gateway = app.state.gateway
    ring = await asyncio.to_thread(read_ring, config.keys_file)
    await _bring_up(gateway, config)
    loaded = await gateway.desk.prepare(config.routes)
    gateway.router.begin(config.routes)
    gateway.desk.begin(config.routes, loaded)
    gateway.shadows.begin(config.routes)
    gateway.admission.apply(config.limits, config.variants)
    gateway.media.apply(config.limits)
    gateway.lifecycle.apply(config)
    app.state.gateway = replace(gateway, config=config, ring=ring)
    kept = {variant.name for variant in config.variants}
    for variant in gateway.config.variants:
        if variant.name not in kept and variant.name in gateway.supervisor.workers:
            await gateway.lifecycle.remove(variant.name)


async def _bring_up(gateway: Gateway, config: ServerConfig) -> None:
    """Load the variants that are new and swap those that changed; what was loaded goes where one fails."""
    workers, lifecycle = gateway.supervisor.workers, gateway.lifecycle
    before = {variant.name: variant.source for variant in (*gateway.config.variants, *lifecycle.loaded)}
    new = [each for each in config.variants if each.name not in workers]
    other = [each for each in config.variants if before.get(each.name, each.source) != each.source]
    other = [each for each in other if each.name in workers]
    checked = config.model_copy(update={"variants": (*new, *other)})
    resolved = await asyncio.to_thread(resolve_variants, checked)
    caches = await asyncio.to_thread(
        unequal_caches,
        config,
        [*(worker.variant for worker in workers.values()), *resolved[: len(new)]],
        gateway.supervisor.caches,
    )
    loaded: list[str] = []
    try:
        for variant in new:
            await lifecycle.add(variant, caches.pop(variant.name, None))
            loaded.append(variant.name)
        for variant in other:
            await lifecycle.swap(variant.name, variant)
        for name, cache_bytes in caches.items():
            await lifecycle.renew(name, cache_bytes)
    except BitloomError:
        for name in loaded:
            await lifecycle.remove(name)
        raise
