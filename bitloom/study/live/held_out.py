"""What was found beside what nobody has to search for, on samples that the search never saw.

By the live engine, which gives the answers of the variants, so that a comparison takes seconds a plan. All
are asked the same samples, and differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitloom.plan import Plan
from bitloom.results import SampleScore
from bitloom.study.live.evaluator import LiveEvaluator
from bitloom.study.live.rooms import Examination, ScoredInterval
from bitloom.study.search.measured import Finalist
from bitloom.study.search.parts import WHOLE, PlanSpace
from bitloom.study.search.report import UNIFORM, ComparedPlan, HeldOutScore


@dataclass(frozen=True, slots=True)
class Contender:
    """A plan to compare."""

    plan: Plan
    values: Mapping[str, float]
    size: float


def contenders(space: PlanSpace, found: Sequence[Finalist]) -> list[Contender]:
    """The finalists, the recommended first; the uniform plans next to it in size; the base last."""
    chosen = [Contender(each.plan, each.values, each.size) for each in found]
    recommended = found[0]
    *uniform, base = space.space.uniform_points()
    others = [point for point in uniform if point.values != recommended.values]
    below = [point for point in others if point.size <= recommended.size][-1:]
    above = [point for point in others if point.size > recommended.size][:1]
    for point in (*below, *above, base):
        bits = int(next(iter(point.values.values())))
        name = "base" if bits == WHOLE else f"{UNIFORM}-{bits}"
        chosen.append(Contender(space.plan(point.values, name), point.values, point.size))
    return chosen


def compare(chosen: Sequence[Contender], live: LiveEvaluator, examination: Examination) -> list[ComparedPlan]:
    """What each keeps of the last, which is the base, and the lead of the first. Raises WorkerError."""
    scores = [examination.judge(live.answers(each.plan)) for each in chosen]
    return [
        ComparedPlan(
            name=each.plan.name,
            values=dict(each.values),
            size=each.size,
            kept=_kept(examination, scores, own),
            lead=None if place == 0 else _lead(examination, scores, own),
        )
        for place, (each, own) in enumerate(zip(chosen, scores, strict=True))
    ]


def _kept(
    examination: Examination, scores: Sequence[Sequence[SampleScore]], own: Sequence[SampleScore]
) -> HeldOutScore:
    if own is scores[-1]:
        return HeldOutScore(value=1.0, low=None, high=None)
    return _held_out(examination.kept(own, scores[-1]))


def _lead(
    examination: Examination, scores: Sequence[Sequence[SampleScore]], own: Sequence[SampleScore]
) -> HeldOutScore:
    return _held_out(examination.kept(scores[0], scores[-1], own))


def _held_out(found: ScoredInterval) -> HeldOutScore:
    return HeldOutScore(value=found.value, low=found.low, high=found.high)
