"""Pack variants onto GPUs, or into RAM, by what they need; refuse with the arithmetic what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bitloom.errors import InputError
from server.config import ServerConfig
from server.supervisor.config import PlacementConfig
from server.supervisor.need import Need, cache_need, mib, need_of
from server.variants import Variant
from server.workers.command import WorkerOptions


class DoesNotFit(InputError):
    """A variant needs more memory than is left of the budget."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Memory that variants share: a GPU by its index, or the machine's (None)."""

    gpu: int | None
    memory_bytes: int

    @property
    def label(self) -> str:
        """As messages name it."""
        return "memory" if self.gpu is None else f"GPU {self.gpu}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a variant is, and what it takes there."""

    pool: Pool
    need: Need


def pools_of(config: PlacementConfig) -> tuple[Pool, ...]:
    """The budget's pools; none where there is no limit."""
    if config.gpus:
        return tuple(Pool(gpu.index, gpu.memory_bytes) for gpu in config.gpus)
    return () if config.memory_bytes is None else (Pool(None, config.memory_bytes),)


def choose(pools: Sequence[Pool], placed: Mapping[str, Place], need: Need) -> Place:
    """The fullest pool that still has room (best fit); raises DoesNotFit with the arithmetic."""
    free = {pool: pool.memory_bytes for pool in pools}
    for place in placed.values():
        free[place.pool] -= place.need.total_bytes
    fitting = [pool for pool in pools if free[pool] >= need.total_bytes]
    if fitting:
        return Place(min(fitting, key=lambda pool: free[pool]), need)
    lines = []
    for pool in pools:
        inside = [f"{name} {mib(p.need.total_bytes)}" for name, p in placed.items() if p.pool == pool]
        taken = " - ".join([mib(pool.memory_bytes), *inside])
        lines.append(f"{pool.label}: {taken} = {mib(max(0, free[pool]))} MiB free")
    raise DoesNotFit(
        f"variant {need.name} does not fit. {need.arithmetic()}; {'; '.join(lines)}. Unload a variant, give "
        "it fewer bits, less cache (worker.kv_cache_bytes) or shorter sequences (worker.max_model_len), or "
        "raise the budget (placement)"
    )


def pack(pools: Sequence[Pool], needs: Sequence[Need]) -> dict[str, Place]:
    """A place for each, the largest first (best-fit decreasing); raises DoesNotFit."""
    placed: dict[str, Place] = {}
    for need in sorted(needs, key=lambda each: -each.total_bytes):
        placed[need.name] = choose(pools, placed, need)
    return placed


def cache_plan(config: ServerConfig, variants: Sequence[Variant]) -> dict[str, int]:
    """Bytes of cache of the variants that must be told: arms of one experiment get the same.

    Otherwise the arm with the larger cache would look faster under load than its bits make it. All get the
    most that any of them needs; engines of somebody else's are told nothing. With a budget every variant is
    told, since what an engine takes by itself is not known before.
    """
    local = {each.name: each for each in variants if each.directory is not None}
    plan: dict[str, int] = {}
    if pools_of(config.placement):
        plan = {name: _cache(each, config.worker) for name, each in local.items()}
    for group in arm_groups(config) if config.command is None else ():
        arms = [name for name in group if name in local]
        if len(arms) > 1:
            most = max(plan.get(name) or _cache(local[name], config.worker) for name in arms)
            plan |= dict.fromkeys(arms, most)
    return plan


def unequal_caches(
    config: ServerConfig, variants: Sequence[Variant], caches: Mapping[str, int]
) -> dict[str, int]:
    """Cache that arms must get to have as much as those they are compared with; of the others nothing."""
    local = {each.name: each for each in variants if each.directory is not None}
    wanted: dict[str, int] = {}
    for group in arm_groups(config) if config.command is None else ():
        arms = sorted(name for name in group if name in local)
        if len(arms) > 1:
            most = max(caches.get(name) or _cache(local[name], config.worker) for name in arms)
            wanted |= {name: most for name in arms if caches.get(name) != most}
    return wanted


def arm_groups(config: ServerConfig) -> list[set[str]]:
    """Variants that are compared with each other, shadows included; groups that share one are joined."""
    groups: list[set[str]] = []
    for route in config.routes:
        names = {arm.variant for arm in route.arms} | ({route.shadow.variant} if route.shadow else set())
        joined = [group for group in groups if group & names]
        groups = [group for group in groups if not group & names] + [names.union(*joined)]
    return groups


def place_all(config: ServerConfig, variants: Sequence[Variant]) -> dict[str, Place]:
    """Where every local variant goes; empty without a budget. Raises DoesNotFit or CheckpointError."""
    pools = pools_of(config.placement)
    if not pools:
        return {}
    caches = cache_plan(config, variants)
    needs = [variant_need(each, config.worker, caches.get(each.name)) for each in variants if each.directory]
    return pack(pools, needs)


def variant_need(variant: Variant, options: WorkerOptions, cache: int | None) -> Need:
    """What a local variant needs."""
    assert variant.directory is not None
    assert variant.engine is not None
    return need_of(variant.name, variant.engine, variant.directory, options, cache)


def options_with(options: WorkerOptions, cache: int | None) -> WorkerOptions:
    """Options that tell an engine its cache, where it must be told."""
    return options if cache is None else replace(options, kv_cache_bytes=cache)


def _cache(variant: Variant, options: WorkerOptions) -> int:
    assert variant.directory is not None
    return cache_need(variant.directory, options)
