"""Which arm a unit gets: a pure function of the route's salt and name, the weights and the unit.

So it is the same after a restart and on every replica. Arms divide [0, 1) in their order; a unit's point
is the first 64 bits of SHA-256. An arm that is not wholly open (a ramp) keeps the upper end of its part
and leaves the rest to control, so a ramp moves units from control to the arm and no others; a rolled-back
arm's units go to control and nobody else moves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from server.experiments.config import RouteConfig

PINNED, ROLLED_BACK, UNAVAILABLE = "pinned", "rolled_back", "unavailable"


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variant chosen for a request that asked for `route`; `experiment` where arms were drawn.

    `departure` says why another variant serves than the unit's arm: `pinned`, `rolled_back`,
    `unavailable`; such requests count for no arm. `point` stands for the unit, `shares` are those under
    which its arm was drawn.
    """

    route: str
    variant: str
    experiment: str | None = None
    departure: str | None = None
    point: float = 0.0
    shares: tuple[float, ...] = ()

    @property
    def is_counted(self) -> bool:
        """Whether what becomes of the request says something about the arm."""
        return self.experiment is not None and self.departure is None

    @property
    def arm(self) -> str | None:
        """The arm that the request counts for, None where it counts for none."""
        return self.variant if self.is_counted else None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Response headers that tell the client what it got."""
        fields = [(b"x-bitloom-variant", self.variant.encode())]
        if self.experiment is not None:
            fields.append((b"x-bitloom-experiment", self.experiment.encode()))
        return fields


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """How a route's traffic divides now; all by arm, in the order of the arms.

    `openness` is the open part of the share that the arm's weight stands for, `served_shares` what each
    arm serves, `counted_shares` the same without the units of arms that are rolled back: they count for
    nobody, not for control either.
    """

    route: RouteConfig
    openness: tuple[float, ...]
    rolled_back: frozenset[str]
    served_shares: tuple[float, ...]
    counted_shares: tuple[float, ...]

    @classmethod
    def of(
        cls,
        route: RouteConfig,
        openness: Mapping[str, float] | None = None,
        rolled_back: frozenset[str] = frozenset(),
    ) -> ArmPlan:
        """Plan of a route; arms that `openness` does not name are wholly open."""
        given = openness or {}
        opened = tuple(given.get(arm.variant, 1.0) for arm in route.arms)
        drawn = [share * part for share, part in zip(route.shares, opened, strict=True)]
        served = [
            0.0 if arm.variant in rolled_back else share for arm, share in zip(route.arms, drawn, strict=True)
        ]
        control = [arm.variant for arm in route.arms].index(route.control_arm)
        served[control] = drawn[control] = 0.0
        left = max(0.0, 1.0 - sum(drawn))
        counted = [*served]
        counted[control] = left
        served[control] = max(0.0, 1.0 - sum(served))
        total = sum(counted)
        shares = tuple(share / total if total else 0.0 for share in counted)
        return cls(route, opened, rolled_back, tuple(served), shares)

    def draw(self, unit: str) -> Assignment:
        """Assignment of a unit."""
        route = self.route
        point = unit_point(route.salt, route.name, unit)
        index, position = _fall(route, point)
        variant = route.arms[index].variant
        departure = None
        if position < 1 - self.openness[index]:
            variant = route.control_arm
        elif variant in self.rolled_back:
            variant, departure = route.control_arm, ROLLED_BACK
        return Assignment(route.name, variant, route.name, departure, point, self.counted_shares)


def draw_arm(route: RouteConfig, unit: str) -> str:
    """Variant of the arm that `unit` falls into where every arm is open."""
    return route.arms[_fall(route, unit_point(route.salt, route.name, unit))[0]].variant


def unit_point(salt: str, experiment: str, unit: str) -> float:
    """Where a unit lies in [0, 1), evenly distributed and independent between experiments."""
    digest = hashlib.sha256("\0".join((salt, experiment, unit)).encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _fall(route: RouteConfig, point: float) -> tuple[int, float]:
    """Index of the arm that a point falls into, and where in the arm's part, 0 to 1."""
    scaled = point * sum(arm.weight for arm in route.arms)
    reached = 0.0
    for index, arm in enumerate(route.arms):
        if scaled < reached + arm.weight:
            return index, (scaled - reached) / arm.weight
        reached += arm.weight
    return max(index for index, arm in enumerate(route.arms) if arm.weight > 0), 1.0
