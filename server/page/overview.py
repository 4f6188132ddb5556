"""What the page shows of the server: variants with their sizes, states and votes, and routes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from bitloom.errors import VariantError
from bitloom.schema import Schema
from bitloom.variant import read_manifest
from server.app.gateway import Gateway
from server.metrics import Metrics
from server.variants import Variant


class VariantView(Schema):
    """A variant; sizes are those of the stored weights, None where they are not here (a remote variant).

    `memory_bytes` is the worker's resident set when it was last measured. `votes` are the scores it got when
    it was asked by its own name, `votes_won` their sum, since the gateway started.
    """

    name: str
    state: str
    engine: str | None
    plan: str
    bytes: int | None
    bpw: float | None
    memory_bytes: int | None
    in_flight: int
    votes: int
    votes_won: float


class ArmView(Schema):
    """An arm and the share of its route's traffic that it serves now, 0 to 1."""

    variant: str
    share: float


class RouteView(Schema):
    """A model name whose traffic is divided."""

    name: str
    control: str
    arms: tuple[ArmView, ...]


class Overview(Schema):
    """All variants and routes of a gateway; `takes_votes` where it keeps feedback."""

    variants: tuple[VariantView, ...]
    routes: tuple[RouteView, ...]
    takes_votes: bool
    has_study: bool


def overview(gateway: Gateway) -> Overview:
    """The server as it is now."""
    workers = gateway.supervisor.workers
    return Overview(
        variants=tuple(
            _variant(worker.variant, worker.state.value, gateway.metrics) for worker in workers.values()
        ),
        routes=tuple(_route(gateway, route.name) for route in gateway.config.routes),
        takes_votes=gateway.config.state_dir is not None,
        has_study=gateway.config.study is not None,
    )


def _variant(variant: Variant, state: str, metrics: Metrics) -> VariantView:
    name = variant.name
    stored, bpw = stored_size(variant)
    own = {"experiment": name, "variant": name}
    memory = _value(metrics, "bitloom_memory_used_bytes", variant=name)
    return VariantView(
        name=name,
        state=state,
        engine=variant.engine,
        plan=variant.plan,
        bytes=stored,
        bpw=bpw,
        memory_bytes=int(memory) or None,
        in_flight=int(_value(metrics, "bitloom_requests_in_flight", variant=name)),
        votes=int(_value(metrics, "bitloom_feedback_score_count", **own)),
        votes_won=_value(metrics, "bitloom_feedback_score_sum", **own),
    )


def stored_size(variant: Variant) -> tuple[int | None, float | None]:
    """Bytes and bits per weight; of a base checkpoint, which has no manifest, from its tensors."""
    if variant.directory is None:
        return None, None
    try:
        return read_manifest(variant.directory).total.stored_bytes, variant.bpw
    except VariantError:
        files = sorted(variant.directory.glob("*.safetensors"))
        return _base_size(tuple((path, path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=64)
def _base_size(files: tuple[tuple[Path, int], ...]) -> tuple[int | None, float | None]:
    """As `stored_size`, once for files as they are: the page asks every few seconds, headers can be large."""
    from bitloom.tensors import read_header  # numpy: only where a base is served

    entries = [each for path, _ in files for each in read_header(path).values()]
    stored, count = sum(each.size for each in entries), sum(each.count for each in entries)
    return (stored, 8 * stored / count) if count else (None, None)


def _route(gateway: Gateway, name: str) -> RouteView:
    plan = gateway.router.plan(name)
    return RouteView(
        name=name,
        control=plan.route.control_arm,
        arms=tuple(
            ArmView(variant=arm.variant, share=share)
            for arm, share in zip(plan.route.arms, plan.served_shares, strict=True)
        ),
    )


def _value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0
