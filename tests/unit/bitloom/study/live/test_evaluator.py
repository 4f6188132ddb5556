"""A live evaluator sends what changed, and trusts no engine after a failure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bitloom.errors import BitloomError, PlanError, WorkerError
from bitloom.plan import Plan, Rule
from bitloom.results import SampleScore
from bitloom.study.evaluator import ScoreEstimate
from bitloom.study.live.evaluator import LiveEvaluator
from bitloom.study.search.report import HeldOutScore
from bitloom.variant import Footprint

PLANS = [Plan(name=f"p{bits}", base="b", rules=(Rule(bits=bits),)) for bits in (2, 3, 4)]


class FakeAssembly:
    refusals: dict[str, BitloomError] = {}  # noqa: RUF012 - a protocol's attribute
    model = Path("base")

    def __init__(self) -> None:
        self.changes: list[tuple[str, str | None]] = []

    def footprint(self, plan: Plan) -> Footprint:
        if plan.rules[0].bits == 2:
            raise PlanError("it does not fit")
        return Footprint(
            parameters=8, quantized_parameters=8, stored_bytes=4, bpw=4.0, bpw_paper=4.0, resident_bytes={}
        )

    def write_changes(self, path: Path, plan: Plan, before: Plan | None) -> int:
        self.changes.append((plan.name, None if before is None else before.name))
        return 1


class FakeExamination:
    score_names = ("CIDEr",)
    share_names = ("kept",)

    def requests(self) -> list[dict[str, Any]]:
        return [{"max_tokens": 1}]

    def judge(self, answers: Sequence[Mapping[str, Any]]) -> list[SampleScore]:
        scores = {"CIDEr": float(len(answers))}
        return [SampleScore(sample_id="a", task="caption", image_id="a", scores=scores)]

    def score(
        self, answers: Sequence[Mapping[str, Any]], base: Sequence[SampleScore] | None = None
    ) -> dict[str, ScoreEstimate]:
        found = {"CIDEr": ScoreEstimate(float(len(answers)), 0.5)}
        if base is not None:
            found["kept"] = ScoreEstimate(len(answers) / base[0].scores["CIDEr"], 0.1)
        return found

    def kept(
        self,
        own: Sequence[SampleScore],
        base: Sequence[SampleScore],
        other: Sequence[SampleScore] | None = None,
    ) -> HeldOutScore:
        less = other[0].scores["CIDEr"] if other else 0.0
        return HeldOutScore(
            value=(own[0].scores["CIDEr"] - less) / base[0].scores["CIDEr"], low=None, high=None
        )


@dataclass
class FakeEngine:
    """Dies at its answer number `dies_at`."""

    dies_at: int | None = None
    asked: int = 0
    is_closed: bool = False
    swap_file = Path("swap")

    def ask(self, requests: Sequence[Mapping[str, Any]]) -> None:
        assert len(requests) == 1

    def swap(self, _path: Path) -> float:
        return 0.0

    def answer(self) -> list[dict[str, Any]]:
        self.asked += 1
        if self.asked == self.dies_at:
            raise WorkerError("it died")
        return [{"text": "a"}]

    def close(self) -> None:
        self.is_closed = True


def test_each_plan_is_written_against_the_one_before() -> None:
    assembly, engine = FakeAssembly(), FakeEngine()
    live = LiveEvaluator(assembly, FakeExamination(), lambda: engine)  # type: ignore[arg-type, return-value]
    for plan in (PLANS[1], PLANS[2], PLANS[1]):
        result = live.evaluate(plan)
    assert assembly.changes == [("p3", None), ("p4", "p3"), ("p3", "p4")]
    assert result.scores["CIDEr"] == ScoreEstimate(1.0, 0.5)
    assert result.stored_bytes == 4
    live.close()
    assert engine.is_closed


def test_with_a_base_its_scores_are_taken_once_and_shares_of_them_given() -> None:
    assembly, engine = FakeAssembly(), FakeEngine()
    live = LiveEvaluator(
        assembly,
        FakeExamination(),
        lambda: engine,  # type: ignore[arg-type, return-value]
        base=PLANS[1],
    )
    assert live.score_names == ("CIDEr", "kept")
    for plan in PLANS[1:]:
        assert live.evaluate(plan).scores["kept"] == ScoreEstimate(1.0, 0.1)
    assert assembly.changes == [("p3", None), ("p3", "p3"), ("p4", "p3")]


def test_after_a_death_the_next_engine_starts_from_the_base() -> None:
    assembly, engines = FakeAssembly(), [FakeEngine(dies_at=2), FakeEngine()]
    waiting = iter(engines)
    live = LiveEvaluator(
        assembly,
        FakeExamination(),
        lambda: next(waiting),  # type: ignore[arg-type, return-value]
    )
    live.evaluate(PLANS[1])
    with pytest.raises(WorkerError):
        live.evaluate(PLANS[2])
    assert engines[0].is_closed
    live.evaluate(PLANS[2])
    assert assembly.changes == [("p3", None), ("p4", "p3"), ("p4", None)]


def test_a_plan_that_does_not_fit_starts_no_engine() -> None:
    def start() -> FakeEngine:
        raise AssertionError("no engine is needed")

    live = LiveEvaluator(FakeAssembly(), FakeExamination(), start)  # type: ignore[arg-type]
    with pytest.raises(PlanError):
        live.evaluate(PLANS[0])
