"""A search whose answers come from a live engine: the mean of task scores, each against the base's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitloom.errors import InputError
from bitloom.plan import Plan
from bitloom.study.evaluator import Evaluator, PlanResult
from bitloom.study.search.goal import AboveFloor, Goal, UnderBudget
from bitloom.study.search.loop import Lookup, Outcome, search
from bitloom.study.search.oracle import Measurement
from bitloom.study.search.parts import WHOLE, PlanSpace
from bitloom.study.search.pool import Point, Pool
from bitloom.study.search.report import SearchReport, report_of
from bitloom.study.search.space import draw_pool

SCORE = "kept"


@dataclass(frozen=True, slots=True)
class Finalist:
    """A plan that may be what was asked for: recommended, or so close that only a better look tells."""

    plan: Plan
    values: Mapping[str, float]
    score: float
    size: float


class LiveOracle:
    """Measures points by an evaluator. A score is the mean over tasks of (score / the base's score)."""

    def __init__(self, space: PlanSpace, evaluator: Evaluator, only: str | None = None) -> None:
        self._space = space
        self._evaluator = evaluator
        self._only = only
        self._base: Mapping[str, float] | None = None

    def evaluate(self, point: Point) -> Measurement:
        """Measure a point; the first call measures the base as well. Raises BitloomError."""
        base = self.base_scores()
        result = self._evaluator.evaluate(self._space.plan(point.values, plan_name(point.values)))
        return _relative(result, base)

    def base_scores(self) -> Mapping[str, float]:
        """The base's scores by task. InputError where one is 0, or the wanted one is not among them."""
        if self._base is None:
            names = [part.name for part in self._space.parts]
            result = self._evaluator.evaluate(self._space.plan(dict.fromkeys(names, 16.0), "base"))
            found = {name: each.value for name, each in result.scores.items()}
            if self._only is not None:
                found = {name: value for name, value in found.items() if name.lower() == self._only.lower()}
            if not found or min(found.values()) <= 0:
                raise InputError(
                    f"the base's scores are {found}, of which no share can be kept; choose other tasks"
                )
            self._base = found
        return self._base


def search_budget(
    space: PlanSpace, evaluator: Evaluator, limit: float, *, lookups: int, unit: str, seed: int = 0
) -> tuple[SearchReport, Outcome, Pool]:
    """The best plan of at most `limit` (in `unit`), over a pool of plans just below it."""
    pool = draw_pool(space.space, seed=seed, limit=limit)
    oracle = LiveOracle(space, evaluator)
    return _searched(
        space, oracle, pool, UnderBudget(limit), f"size <= {limit:g} {unit}", lookups, unit, seed
    )


def search_floor(
    space: PlanSpace,
    evaluator: Evaluator,
    score: str,
    share: float,
    *,
    lookups: int,
    unit: str,
    seed: int = 0,
) -> tuple[SearchReport, Outcome, Pool]:
    """The smallest plan that keeps `share` of the base's `score` (`score` alone: of the mean of all)."""
    pool = draw_pool(space.space, seed=seed)
    oracle = LiveOracle(space, evaluator, None if score == "score" else score)
    goal = f"{score} >= {share:g} of the base's"
    return _searched(space, oracle, pool, AboveFloor(share), goal, lookups, unit, seed)


def finalists(
    space: PlanSpace, outcome: Outcome, pool: Pool, goal: Goal, *, margin: float, count: int
) -> list[Finalist]:
    """The recommended plan first, then the best other measured ones; at most `count`.

    Plans are ranked by what is believed of them, since a single measurement flatters whoever was lucky. Of
    plans under a budget that are within `margin` of the best, the smallest is recommended.
    """
    allowed = goal.allowed(pool)
    measured = [lookup for lookup in outcome.lookups if allowed[lookup.index]]
    believed = outcome.belief.mean
    first = outcome.best
    if isinstance(goal, UnderBudget):
        equal = [each for each in measured if believed[each.index] >= believed[first.index] - margin]
        first = min(equal, key=lambda each: (pool.sizes[each.index], -believed[each.index]))
    others = sorted((each for each in measured if each is not first), key=lambda each: -believed[each.index])
    return [_finalist(space, pool, lookup) for lookup in [first, *others][:count]]


def plan_name(values: Mapping[str, float]) -> str:
    """`found-2-3-...`: the bits of all parts in order."""
    return "found-" + "-".join(f"{value:g}" for value in values.values())


def _searched(
    space: PlanSpace,
    oracle: LiveOracle,
    pool: Pool,
    goal: Goal,
    text: str,
    lookups: int,
    unit: str,
    seed: int,
) -> tuple[SearchReport, Outcome, Pool]:
    outcome = search(oracle, pool, goal, lookups=lookups, seed=seed, losses=space.space.losses)
    report = report_of(outcome, pool, score=SCORE, size_unit=unit, goal=text)
    return report.model_copy(update=_levels(space)), outcome, pool


def _finalist(space: PlanSpace, pool: Pool, lookup: Lookup) -> Finalist:
    point = pool.point(lookup.index)
    plan = space.plan(point.values, plan_name(point.values))
    return Finalist(plan, point.values, lookup.measurement.score, point.size)


def _levels(space: PlanSpace) -> dict[str, dict[str, dict[int, float]] | dict[str, dict[int, str]]]:
    """The report's `sensitivities` and `methods`, by part and bits."""
    losses: dict[str, dict[int, float]] = {}
    methods: dict[str, dict[int, str]] = {}
    for part, values, lost in zip(space.parts, space.space.values, space.space.losses, strict=True):
        losses[part.name] = {
            int(bits): float(loss) for bits, loss in zip(values, lost, strict=True) if int(bits) != WHOLE
        }
        methods[part.name] = {bits: str(space.choices[part.name, bits]) for bits in losses[part.name]}
    return {"sensitivities": losses, "methods": methods}


def _relative(result: PlanResult, base: Mapping[str, float]) -> Measurement:
    shares: Sequence[float] = [result.scores[name].value / value for name, value in base.items()]
    errors = [result.scores[name].standard_error / value for name, value in base.items()]
    return Measurement(float(np.mean(shares)), float(np.sqrt(np.sum(np.square(errors))) / len(errors)))
