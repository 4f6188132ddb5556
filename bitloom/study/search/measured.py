"""A search whose answers come from a live engine: shares that plans keep of the base's scores.

The base keeps all of its own, which costs the first look-up and tells how much there is to lose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitloom.errors import InputError
from bitloom.plan import Plan
from bitloom.study.evaluator import Evaluator
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
    """Measures points by an evaluator whose results have a column `share`, of what is kept of the base."""

    def __init__(self, space: PlanSpace, evaluator: Evaluator, share: str) -> None:
        self._space = space
        self._evaluator = evaluator
        self._share = share

    def evaluate(self, point: Point) -> Measurement:
        """Measure a point. Raises BitloomError."""
        found = self._evaluator.evaluate(self._space.plan(point.values, plan_name(point.values)))
        kept = found.scores[self._share]
        return Measurement(kept.value, kept.standard_error)


def share_of(score: str, shares: Sequence[str]) -> str:
    """The share that a floor is about: of one score, in any case, or of `score`, their mean."""
    known = {share.removesuffix(f"_{SCORE}"): share for share in shares if share != SCORE} | {"score": SCORE}
    matching = [share for name, share in known.items() if name.lower() == score.lower()]
    if not matching:
        raise InputError(f"{score!r} is none of the scores {', '.join(known)}; give one of these")
    return matching[0]


def search_goal(
    space: PlanSpace,
    evaluator: Evaluator,
    goal: UnderBudget | AboveFloor,
    share: str,
    *,
    lookups: int,
    unit: str,
    seed: int = 0,
) -> tuple[SearchReport, Outcome, Pool]:
    """Search for what a goal says of `share`, a column of the evaluator's results, and of sizes in `unit`."""
    limit = goal.limit if isinstance(goal, UnderBudget) else None
    pool, losses = draw_pool(space.space, seed=seed, limit=limit), space.space.losses
    base = Lookup(base_index(pool), Measurement(1.0), None, None)
    oracle = LiveOracle(space, evaluator, share)
    outcome = search(oracle, pool, goal, lookups=lookups, seed=seed, losses=losses, measured=[base])
    text = f"size <= {goal.limit:g} {unit}" if isinstance(goal, UnderBudget) else f"{share} >= {goal.level:g}"
    report = report_of(outcome, pool, score=share, size_unit=unit, goal=text)
    return report.model_copy(update=_levels(space)), outcome, pool


def finalists(
    space: PlanSpace, outcome: Outcome, pool: Pool, goal: Goal, *, margin: float, count: int
) -> list[Finalist]:
    """The recommended plan first, then the measured ones that the goal ranks next; at most `count`.

    Plans are ranked by what is believed of them, since a single measurement flatters whoever was lucky. Of
    plans under a budget that are within `margin` of the best, the smallest is recommended. The base is among
    them only where nothing smaller is good enough.
    """
    allowed = goal.allowed(pool)
    measured = [lookup for lookup in outcome.lookups if allowed[lookup.index]]
    believed = outcome.belief.mean
    first = outcome.best
    if isinstance(goal, UnderBudget):
        equal = [each for each in measured if believed[each.index] >= believed[first.index] - margin]
        first = min(equal, key=lambda each: (pool.sizes[each.index], -believed[each.index]))
    ranked, rest = (
        [first],
        [each for each in measured if each is not first and each.index != base_index(pool)],
    )
    while rest and len(ranked) < count:
        indices = np.array([each.index for each in rest], dtype=np.int64)
        ranked.append(rest.pop(goal.best(pool, indices, believed[indices])))
    return [_finalist(space, pool, lookup) for lookup in ranked]


def base_index(pool: Pool) -> int:
    """The plan that leaves all parts as they are, which is in every pool of a base."""
    return int(np.flatnonzero(np.all(pool.values == WHOLE, axis=1))[0])


def plan_name(values: Mapping[str, float]) -> str:
    """`found-2-3-...`: the bits of all parts in order."""
    return "found-" + "-".join(f"{value:g}" for value in values.values())


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
