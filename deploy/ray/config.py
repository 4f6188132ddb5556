"""How a server is spread over a Ray cluster; what it serves stays in its own configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from bitloom.errors import InputError
from bitloom.schema import Schema
from server.config import ServerConfig

Positive = Annotated[int, Field(gt=0)]
Amount = Annotated[float, Field(ge=0)]


class Autoscaling(Schema):
    """Replicas follow the load: one for each `target_ongoing_requests` that run or wait."""

    min_replicas: Annotated[int, Field(ge=0)] = 1
    max_replicas: Positive
    target_ongoing_requests: Annotated[float, Field(gt=0)] = 8


class Spread(Schema):
    """One variant: its replicas and what each gets.

    A replica runs `max_ongoing_requests` at a time; `max_queued_requests` more wait at the gateway, and what
    comes then is answered 429. `autoscaling` takes the place of `replicas`.
    """

    replicas: Positive = 1
    max_ongoing_requests: Positive = 16
    max_queued_requests: Positive = 64
    num_cpus: Amount = 1
    num_gpus: Amount = 0
    autoscaling: Autoscaling | None = None

    def options(self) -> dict[str, Any]:
        """Options of a Ray Serve deployment."""
        options: dict[str, Any] = {
            "max_ongoing_requests": self.max_ongoing_requests,
            "max_queued_requests": self.max_queued_requests,
            "ray_actor_options": {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus},
        }
        if self.autoscaling is None:
            return {**options, "num_replicas": self.replicas}
        return {**options, "autoscaling_config": self.autoscaling.model_dump()}


class RayConfig(Schema):
    """`server` is the server's configuration, relative to this file; variants not named get the defaults."""

    schema_version: Literal[1] = 1
    server: Path
    gateways: Positive = 1
    gateway_cpus: Amount = 1
    variants: dict[str, Spread] = Field(default_factory=dict)


def unmet(spread: RayConfig, resources: Mapping[str, float]) -> list[str]:
    """A line for each variant whose replicas need more GPUs than the cluster has (`ray.cluster_resources()`).

    No error: a cluster that scales itself adds the node when the replica asks for it.
    """
    found = resources.get("GPU", 0)
    return [
        f"{name} asks for {each.num_gpus:g} GPUs a replica and the cluster has {found:g}: it is not served "
        "until a node with them joins; num_gpus: 0 serves it on CPUs"
        for name, each in spread.variants.items()
        if each.num_gpus > found
    ]


def check(spread: RayConfig, server: ServerConfig) -> None:
    """Raise InputError where the two configurations do not fit each other."""
    names = {variant.name for variant in server.variants if variant.directory is not None}
    unknown = sorted(set(spread.variants) - names)
    if unknown:
        raise InputError(
            f"no such local variant: {', '.join(unknown)}; the server has "
            + (", ".join(sorted(names)) or "none")
        )
    if spread.gateways > 1 and server.state_dir is not None:
        raise InputError(
            f"{spread.gateways} gateways cannot share one state_dir; take one gateway, or no state_dir "
            "(then no guardrails and no feedback)"
        )
