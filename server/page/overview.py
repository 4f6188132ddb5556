"""What the page shows of the server: variants with their sizes, states and votes, and routes."""

from __future__ import annotations

from bitloom.errors import VariantError
from bitloom.schema import Schema
from bitloom.variant import read_manifest
from server.app.gateway import Gateway
from server.metrics import Metrics
from server.variants import Variant


class VariantView(Schema):
    """A variant; sizes are None where its manifest is not here (a base checkpoint, a remote variant).

    `memory_bytes` is the worker's resident set at the last scrape. `votes` are the scores it got when it was
    asked by its own name, `votes_won` their sum, since the gateway started.
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
    own = {"experiment": name, "variant": name}
    memory = _value(metrics, "bitloom_memory_used_bytes", variant=name)
    return VariantView(
        name=name,
        state=state,
        engine=variant.engine,
        plan=variant.plan,
        bytes=_stored_bytes(variant),
        bpw=variant.bpw,
        memory_bytes=int(memory) or None,
        in_flight=int(_value(metrics, "bitloom_requests_in_flight", variant=name)),
        votes=int(_value(metrics, "bitloom_feedback_score_count", **own)),
        votes_won=_value(metrics, "bitloom_feedback_score_sum", **own),
    )


def _stored_bytes(variant: Variant) -> int | None:
    """Bytes of the weights; of a base checkpoint, which has no manifest, those of its weight files."""
    if variant.directory is None:
        return None
    try:
        return read_manifest(variant.directory).total.stored_bytes
    except VariantError:
        return sum(file.stat().st_size for file in variant.directory.glob("*.safetensors")) or None


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
