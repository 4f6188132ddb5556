"""What was measured is not measured again, and a dead engine costs one more try, not the search."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitloom.errors import DataError, WorkerError
from bitloom.plan import Plan, Rule
from bitloom.study.evaluator import PlanResult, ScoreEstimate
from bitloom.study.live.memory import RememberingEvaluator

PLANS = [Plan(name=f"p{bits}", base="b", rules=(Rule(bits=bits),)) for bits in (2, 3)]


class DyingEvaluator:
    """Counts the plans it measures; its engine dies at the calls of `dies_at`."""

    def __init__(self, *dies_at: int) -> None:
        self.calls = 0
        self.dies_at = dies_at

    def evaluate(self, plan: Plan) -> PlanResult:
        self.calls += 1
        if self.calls in self.dies_at:
            raise WorkerError("its engine died")
        bits = plan.rules[0].bits or 16
        return PlanResult({"CIDEr": ScoreEstimate(bits / 3, 0.1)}, bits, bits / 7, bits, 0.25)


def test_a_search_that_goes_on_measures_only_what_is_new(tmp_path: Path) -> None:
    first = DyingEvaluator()
    results = [RememberingEvaluator(first, tmp_path, ("CIDEr",)).evaluate(plan) for plan in PLANS[:1]]
    second = DyingEvaluator()
    remembering = RememberingEvaluator(second, tmp_path, ("CIDEr",))
    results += [remembering.evaluate(plan) for plan in PLANS]
    assert second.calls == 1
    assert results[0] == results[1]
    assert results[2].scores["CIDEr"].value == 1.0


def test_a_death_is_tried_once_more(tmp_path: Path) -> None:
    dying = DyingEvaluator(1)
    assert RememberingEvaluator(dying, tmp_path, ("CIDEr",)).evaluate(PLANS[0]).stored_bytes == 2
    assert dying.calls == 2
    with pytest.raises(WorkerError):
        RememberingEvaluator(DyingEvaluator(1, 2), tmp_path, ("CIDEr",)).evaluate(PLANS[1])


def test_results_of_other_tasks_are_refused(tmp_path: Path) -> None:
    RememberingEvaluator(DyingEvaluator(), tmp_path, ("CIDEr",)).evaluate(PLANS[0])
    with pytest.raises(DataError, match="columns"):
        RememberingEvaluator(DyingEvaluator(), tmp_path, ("vqa_accuracy",))
