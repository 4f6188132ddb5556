"""Finalists are compared with the uniform plans next to them in size, and with the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from bitloom.plan import Calibration, Plan
from bitloom.study.live.held_out import compare, contenders
from bitloom.study.search.measured import Finalist
from bitloom.study.search.parts import BITS, WHOLE, Choice, Part, PlanSpace
from bitloom.study.search.report import HeldOutScore
from bitloom.study.search.space import Space

LEVELS = np.array([*BITS, WHOLE], dtype=np.float64)
NAMES = ("vision", "language")


@pytest.fixture
def space() -> PlanSpace:
    parts = tuple(Part(name, {"component": name}) for name in NAMES)
    choices = {(name, bits): Choice("rtn") for name in NAMES for bits in BITS}
    sizes = [LEVELS / 4, 3 * LEVELS / 4]
    levels = Space(NAMES, [LEVELS, LEVELS], sizes, [4.0**-LEVELS, 4.0**-LEVELS])
    return PlanSpace("base", parts, choices, levels, Calibration(mode="independent"))


class BitsEngine:
    """Answers with the bits of the plan's language model."""

    def answers(self, plan: Plan) -> list[dict[str, Any]]:
        bits = [rule.bits or WHOLE for rule in plan.rules if rule.component in {"language", "all"}]
        return [{"text": str(bits[-1])}]


class BitsExamination:
    """Keeps of 16 bits what the answer says."""

    def judge(self, answers: Sequence[Mapping[str, Any]]) -> float:
        return float(answers[0]["text"])

    def kept(self, own: float, base: float, other: float = 0.0) -> HeldOutScore:
        return HeldOutScore(value=(own - other) / base, low=None, high=None)


def finalist(space: PlanSpace, vision: float, language: float) -> Finalist:
    values = {"vision": vision, "language": language}
    return Finalist(
        space.plan(values, f"found-{vision:g}-{language:g}"), values, 1.0, vision / 4 + 3 * language / 4
    )


def test_uniform_plans_on_both_sides_and_the_base(space: PlanSpace) -> None:
    found = [finalist(space, 2, 4), finalist(space, 4, 3)]
    chosen = contenders(space, found)
    assert [each.plan.name for each in chosen] == ["found-2-4", "found-4-3", "uniform-3", "uniform-4", "base"]
    assert [each.size for each in chosen] == [3.5, 3.25, 3.0, 4.0, 16.0]


def test_a_uniform_plan_is_not_compared_with_itself(space: PlanSpace) -> None:
    names = [each.plan.name for each in contenders(space, [finalist(space, 3, 3)])]
    assert names == ["found-3-3", "uniform-2", "uniform-4", "base"]


def test_at_the_ends_there_is_one_side(space: PlanSpace) -> None:
    smallest = [each.plan.name for each in contenders(space, [finalist(space, 2, 2)])]
    assert smallest == ["found-2-2", "uniform-3", "base"]
    largest = [each.plan.name for each in contenders(space, [finalist(space, 16, 8)])]
    assert largest == ["found-16-8", "uniform-8", "base"]


def test_shares_are_of_the_base_and_leads_of_the_recommended(space: PlanSpace) -> None:
    chosen = contenders(space, [finalist(space, 2, 4)])
    compared = compare(chosen, BitsEngine(), BitsExamination())  # type: ignore[arg-type]
    assert [each.kept.value for each in compared] == [4 / 16, 3 / 16, 4 / 16, 1.0]
    assert compared[0].lead is None
    assert [each.lead.value for each in compared[1:] if each.lead] == [1 / 16, 0.0, -12 / 16]
