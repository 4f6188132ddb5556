"""Load, unload, drain and swap variants while the server serves; one change at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bitloom.errors import BitloomError, WorkerError
from server.config import ServerConfig, VariantConfig
from server.errors import Conflict
from server.metrics import Metrics
from server.supervisor.layout import has_same_layout
from server.supervisor.local import LocalWorker
from server.supervisor.need import Need
from server.supervisor.placement import DoesNotFit, Place, Pool, choose, pools_of, variant_need
from server.supervisor.state import State
from server.supervisor.supervisor import Supervisor
from server.supervisor.worker import Worker
from server.variants import Variant, installed_engines, resolve

logger = logging.getLogger(__name__)

Way = Literal["in_place", "second_worker"]
# In these states no worker process is worth keeping.
DOWN = frozenset({State.UNLOADED, State.STOPPED})


@dataclass(frozen=True, slots=True)
class Swap:
    """How a swap went: the way it took, and the seconds."""

    way: Way
    seconds: float


class Lifecycle:
    """What operators do to variants. `config` may change at a reload (`apply`)."""

    def __init__(self, config: ServerConfig, supervisor: Supervisor, metrics: Metrics) -> None:
        self._config = config
        self._supervisor = supervisor
        self._metrics = metrics
        self._changing = asyncio.Lock()
        self._evicted: set[str] = set()
        self._loaded: dict[str, VariantConfig] = {}
        self._waking: dict[str, asyncio.Task[None]] = {}

    @property
    def loaded(self) -> tuple[VariantConfig, ...]:
        """Variants as they were loaded while the server ran, those since swapped as they are now."""
        return tuple(self._loaded.values())

    def is_evicted(self, name: str) -> bool:
        """Whether a variant left for another one and comes back when it is asked for (`wake`)."""
        return name in self._evicted

    async def wake(self, name: str) -> None:
        """Load a variant that was evicted; all who ask wait for one load. Raises as `add` does."""
        task = self._waking.get(name)
        if task is None:
            task = self._waking[name] = asyncio.create_task(self.load(name), name=f"waking {name}")
            task.add_done_callback(lambda done: self._woken(name, done))
        await asyncio.shield(task)

    def _woken(self, name: str, task: asyncio.Task[None]) -> None:
        del self._waking[name]
        if not task.cancelled():
            task.exception()  # those who wait have it; nobody may be left

    async def add(self, wanted: VariantConfig, cache_bytes: int | None = None) -> None:
        """Load a variant that the configuration does not have, with a cache of so many bytes where given.

        Raises Conflict where its name is taken, InputError where it cannot be served or does not fit,
        WorkerError where it does not start.
        """
        async with self._changing:
            if wanted.name in self._supervisor.workers:
                raise Conflict(
                    f"there is a variant {wanted.name}; swap it, or load this one under another name",
                    code="variant_exists",
                    param="name",
                )
            variant = await self._resolve(wanted)
            if cache_bytes is not None:
                self._supervisor.caches[variant.name] = cache_bytes
            await self._make_room(variant)
            try:
                await self._bring_up(self._supervisor.build(variant))
            except WorkerError:
                self._supervisor.forget(variant.name)
                raise

    def remember(self, loaded: VariantConfig) -> None:
        """Keep a variant that was added over reloads, until it is removed, and let routes name it."""
        self._loaded[loaded.name] = loaded

    async def renew(self, name: str, cache_bytes: int) -> None:
        """Serve a variant from a worker with so much cache, which starts beside the old one.

        Raises as `add` does; the variant is as it was then.
        """
        async with self._changing:
            worker = self._supervisor.workers[name]
            before = self._supervisor.caches.get(name)
            self._supervisor.caches[name] = cache_bytes
            if worker.state in DOWN:
                return
            try:
                await self._replace(self._ready(name), worker.variant)
            except (BitloomError, OSError):
                self._supervisor.caches.pop(name)
                if before is not None:
                    self._supervisor.caches[name] = before
                raise

    async def load(self, name: str) -> None:
        """Bring a drained or unloaded variant back; nothing where it is up. Raises as `add` does."""
        async with self._changing:
            worker = self._supervisor.workers.get(name)
            if worker is None:
                raise Conflict(f"variant {name} was removed meanwhile", code="variant_removed")
            if worker.state is State.DRAINING:
                worker.resume()
            elif worker.state in DOWN:
                await self._make_room(worker.variant)
                try:
                    await self._bring_up(self._supervisor.build(worker.variant))
                except WorkerError:
                    self._supervisor.workers[name].unloaded()
                    self._supervisor.places.pop(name, None)
                    raise
            self._evicted.discard(name)

    async def drain(self, name: str) -> int:
        """Refuse new requests and wait for those there are; how many are left after `drain_s`."""
        async with self._changing:
            worker = self._supervisor.workers[name]
            self._evicted.discard(name)
            return 0 if worker.state in DOWN else await self._drain(worker)

    async def unload(self, name: str) -> int:
        """Drain a variant and end its worker; how many requests `drain_s` cut off."""
        async with self._changing:
            worker = self._supervisor.workers[name]
            self._evicted.discard(name)
            if worker.state in DOWN:
                return 0
            left = await self._drain(worker)
            await self._take_down(worker)
            return left

    async def remove(self, name: str) -> None:
        """Unload a variant and forget it; raises Conflict for an arm or a shadow of a route."""
        if name in self._in_routes():
            raise Conflict(
                f"variant {name} is an arm or a shadow of a route; take it out of the routes and reload "
                "the configuration first",
                code="variant_in_use",
            )
        await self.unload(name)
        async with self._changing:
            self._supervisor.forget(name)
            self._loaded.pop(name, None)

    async def swap(self, name: str, wanted: VariantConfig) -> Swap:
        """Serve another checkpoint under a variant's name, without losing or mixing a request.

        The same layout in vLLM goes in place; everything else through a second worker beside the first,
        which must fit beside it. Raises as `add` does; the variant is as it was then.
        """
        async with self._changing:
            started = time.perf_counter()
            old = self._ready(name)
            variant = await self._resolve(wanted)
            way = await self._way(old, variant)
            if way == "in_place":
                assert isinstance(old, LocalWorker)
                await old.take_weights(variant, self._supervisor.command(variant, old.socket))
            else:
                await self._replace(old, variant)
            if name in self._loaded:
                self._loaded[name] = wanted.model_copy(update={"outstanding": self._loaded[name].outstanding})
            return Swap(way, time.perf_counter() - started)

    def _ready(self, name: str) -> Worker:
        worker = self._supervisor.workers[name]
        if worker.state is not State.READY:
            raise Conflict(
                f"variant {name} is {worker.state}; load it and wait until it is ready", code="not_ready"
            )
        return worker

    async def _resolve(self, wanted: VariantConfig) -> Variant:
        return await asyncio.to_thread(resolve, wanted, self._config, installed_engines())

    async def _way(self, old: Worker, new: Variant) -> Way:
        one, other = old.variant.directory, new.directory
        if not isinstance(old, LocalWorker) or one is None or other is None:
            return "second_worker"
        if (old.variant.engine, new.engine) != ("vllm", "vllm"):
            return "second_worker"
        same = await asyncio.to_thread(has_same_layout, one, other)
        return "in_place" if same else "second_worker"

    async def _replace(self, old: Worker, variant: Variant) -> None:
        # Both run for a while, so both must fit: the newcomer is placed under a name of its own.
        beside = f"{variant.name} (new)"
        await self._make_room(variant, beside)
        before = self._supervisor.places.get(variant.name)
        place = self._supervisor.places.pop(beside, None)
        if place is not None:
            self._supervisor.places[variant.name] = place
        worker = self._supervisor.build(variant)
        worker.stand_by()
        try:
            await self._supervisor.begin(worker)
        except WorkerError:
            await self._supervisor.end(worker)
            if before is not None:
                self._supervisor.places[variant.name] = before
            raise
        self._supervisor.install(worker)
        worker.succeed(old)
        if not await old.gate.emptied(self._config.timeouts.drain_s):
            logger.warning("variant %s: its old worker is ended with requests on it", variant.name)
        await self._supervisor.end(old)

    async def _bring_up(self, worker: Worker) -> None:
        self._supervisor.install(worker)
        try:
            await self._supervisor.begin(worker)
        except WorkerError:
            await self._supervisor.end(worker)
            raise

    async def _drain(self, worker: Worker) -> int:
        worker.drain()
        await worker.gate.emptied(self._config.timeouts.drain_s)
        return worker.gate.outstanding

    async def _take_down(self, worker: Worker) -> None:
        await self._supervisor.end(worker)
        worker.unloaded()
        self._supervisor.places.pop(worker.variant.name, None)

    async def _make_room(self, variant: Variant, beside: str | None = None) -> None:
        """Give a variant its place, evicting others where that is allowed; raises DoesNotFit."""
        pools = pools_of(self._config.placement)
        if not pools or variant.directory is None:
            return
        name = beside or variant.name
        cache = self._supervisor.caches.get(variant.name)
        need = await asyncio.to_thread(variant_need, variant, self._config.worker, cache)
        need = replace(need, name=name)
        self._supervisor.caches[variant.name] = need.cache_bytes
        place, evicted = self._choose(pools, need, variant.name)
        for worker in evicted:
            logger.info("variant %s is evicted for %s", worker.variant.name, name)
            self._metrics.evictions.labels(worker.variant.name).inc()
            # Already now: who asks for it while it leaves waits too.
            self._evicted.add(worker.variant.name)
            await self._drain(worker)
            await self._take_down(worker)
        self._supervisor.places[name] = place

    def _choose(self, pools: Sequence[Pool], need: Need, name: str) -> tuple[Place, list[Worker]]:
        """A place, and who must leave for it: nobody leaves where that would not make it fit."""
        places = dict(self._supervisor.places)
        leaving: list[Worker] = []
        refusal: DoesNotFit | None = None
        for idle in [None, *(self._idle_longest(name) if self._config.placement.evict else ())]:
            if idle is not None and places.pop(idle.variant.name, None) is not None:
                leaving.append(idle)
            try:
                place = choose(pools, places, need)
            except DoesNotFit as exc:
                refusal = refusal or exc
            else:
                there = self._supervisor.places
                return place, [each for each in leaving if there[each.variant.name].pool == place.pool]
        assert refusal is not None
        raise refusal

    def _idle_longest(self, but: str) -> list[Worker]:
        """Who may leave, the longest idle first."""
        kept = self._in_routes() | {but}
        idle = [
            worker
            for name, worker in self._supervisor.workers.items()
            if isinstance(worker, LocalWorker)
            and name not in kept
            and worker.state is State.READY
            and worker.gate.outstanding == 0
        ]
        return sorted(idle, key=lambda worker: worker.gate.last_used)

    def apply(self, config: ServerConfig) -> None:
        """Act under another configuration from now on."""
        self._config = config

    def _in_routes(self) -> set[str]:
        shadows = {route.shadow.variant for route in self._config.routes if route.shadow is not None}
        return shadows | {arm.variant for route in self._config.routes for arm in route.arms}
