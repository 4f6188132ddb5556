"""From the model name of a request to the variant that answers it: routes, arms, sticky assignment.

The arm of a unit is a pure function of the route's salt and name, the unit and the weights, so it is the
same after a restart and on every replica. Arms divide [0, 1) in their order; a unit's point is the first
64 bits of SHA-256. Moving weight between two neighbours moves only the units on their border.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.config import RouteConfig
from server.errors import BadRequest, UnknownModel


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variant chosen for a request that asked for `route`; `experiment` where arms were drawn."""

    route: str
    variant: str
    experiment: str | None = None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Response headers that tell the client what it got."""
        fields = [(b"x-bitloom-variant", self.variant.encode())]
        if self.experiment is not None:
            fields.append((b"x-bitloom-experiment", self.experiment.encode()))
        return fields


class Router:
    """Model names: every variant under its own name, and the configured routes."""

    def __init__(self, variants: Iterable[str], routes: Sequence[RouteConfig] = ()) -> None:
        self._variants = tuple(variants)
        self._routes = {route.name: route for route in routes}

    @property
    def routes(self) -> tuple[str, ...]:
        """Model names that clients may ask for."""
        return (*self._routes, *self._variants)

    def check(self, model: str) -> str:
        """The name itself, if it can be asked for; raise UnknownModel with the names there are."""
        if model not in self.routes:
            raise UnknownModel(
                f"no such model; this server has: {', '.join(self.routes)}",
                code="model_not_found",
                param="model",
            )
        return model

    def assign(self, model: str, unit: str, pin: str | None = None) -> Assignment:
        """Assignment of `unit` under a model name; `pin` names the arm instead.

        Raises UnknownModel with the names there are, BadRequest for a pin that is no arm of the route.
        """
        if (route := self._routes.get(model)) is not None:
            variant = draw_arm(route, unit) if pin is None else pin
            if pin is not None and pin not in {arm.variant for arm in route.arms}:
                raise _bad_pin([arm.variant for arm in route.arms])
            return Assignment(route.name, variant, route.name)
        self.check(model)
        if pin not in (None, model):
            raise _bad_pin([model])
        return Assignment(model, model)


def draw_arm(route: RouteConfig, unit: str) -> str:
    """Variant of the arm that `unit` falls into."""
    point = unit_point(route.salt, route.name, unit) * sum(arm.weight for arm in route.arms)
    reached = 0.0
    for arm in route.arms:
        reached += arm.weight
        if point < reached:
            return arm.variant
    return next(arm.variant for arm in reversed(route.arms) if arm.weight > 0)


def unit_point(salt: str, experiment: str, unit: str) -> float:
    """Where a unit lies in [0, 1), evenly distributed and independent between experiments."""
    digest = hashlib.sha256("\0".join((salt, experiment, unit)).encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _bad_pin(arms: Sequence[str]) -> BadRequest:
    return BadRequest(
        f"the header x-bitloom-variant names no arm of this model; it has: {', '.join(arms)}",
        code="unknown_arm",
        param="x-bitloom-variant",
    )
