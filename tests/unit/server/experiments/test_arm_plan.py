"""How traffic divides while an arm ramps or is rolled back: only the units that must move do."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest

from server.experiments.assignment import ROLLED_BACK, ArmPlan
from server.experiments.config import RouteConfig

UNITS = [f"user-{i}" for i in range(10_000)]


def route(**weights: float) -> RouteConfig:
    arms = [{"variant": name, "weight": weight} for name, weight in weights.items()]
    return RouteConfig.model_validate({"name": "r", "arms": arms})


def drawn(plan: ArmPlan) -> dict[str, str]:
    return {unit: plan.draw(unit).variant for unit in UNITS}


@pytest.mark.parametrize("openness", [1.0, 0.5, 0.02])
def test_ten_thousand_units_divide_as_the_shares_say(openness: float) -> None:
    plan = ArmPlan.of(route(a=2, b=1, c=1), {"c": openness})
    counts = Counter(drawn(plan).values())
    assert sum(plan.served_shares) == pytest.approx(1)
    for variant, share in zip("abc", plan.served_shares, strict=True):
        assert abs(counts[variant] - 10_000 * share) <= 4 * math.sqrt(10_000 * share * (1 - share))


def test_a_ramp_moves_units_from_control_to_the_arm_and_no_others() -> None:
    opened = [drawn(ArmPlan.of(route(a=1, b=1, c=1), {"c": part})) for part in (0.03, 0.3, 1.0)]
    for before, after in itertools.pairwise(opened):
        moved = {(before[unit], after[unit]) for unit in UNITS if before[unit] != after[unit]}
        assert moved == {("a", "c")}


def test_a_rollback_moves_the_arms_units_to_control_and_marks_them() -> None:
    before = ArmPlan.of(route(a=1, b=1, c=1))
    after = ArmPlan.of(route(a=1, b=1, c=1), rolled_back=frozenset({"c"}))
    assert after.served_shares == pytest.approx((2 / 3, 1 / 3, 0))
    assert after.counted_shares == pytest.approx((0.5, 0.5, 0))
    for unit in UNITS[:2000]:
        one, other = before.draw(unit), after.draw(unit)
        assert other.variant == ("a" if one.variant == "c" else one.variant)
        assert other.is_counted == (one.variant != "c")
        assert other.departure == (ROLLED_BACK if one.variant == "c" else None)


def test_control_need_not_be_the_first() -> None:
    config = RouteConfig.model_validate(
        {"name": "r", "arms": [{"variant": "a"}, {"variant": "b"}], "control": "b"}
    )
    plan = ArmPlan.of(config, rolled_back=frozenset({"a"}))
    assert plan.served_shares == (0, 1)
    assert {plan.draw(unit).variant for unit in UNITS[:100]} == {"b"}
