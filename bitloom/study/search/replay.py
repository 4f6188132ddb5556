"""A search replayed on a measured grid, whose rows are the only plans and the only answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bitloom.errors import InputError
from bitloom.study.observations import Observations
from bitloom.study.search.goal import AboveFloor, Goal, UnderBudget
from bitloom.study.search.loop import Lookup, Outcome, search
from bitloom.study.search.oracle import GridOracle
from bitloom.study.search.pool import Pool, pool_of
from bitloom.study.search.report import SearchReport, report_of
from bitloom.study.search.request import FloorRequest


@dataclass(frozen=True, slots=True)
class Replay:
    """A grid as pool and oracle. Observations must hold sizes (in `size_unit`)."""

    observations: Observations
    size_unit: str

    def under_budget(self, limit: float, *, lookups: int, seed: int = 0) -> SearchReport:
        """The best plan of at most `limit`; regret is in score."""
        pool, goal = pool_of(self.observations), UnderBudget(limit)
        outcome = search(GridOracle(self.observations), pool, goal, lookups=lookups, seed=seed)
        best_possible = float(self.observations.scores[goal.allowed(pool)].max())
        regret = best_possible - outcome.best.measurement.score
        return self._report(outcome, pool, f"size <= {limit:g} {self.size_unit}", regret)

    def above_floor(self, floor: FloorRequest, *, lookups: int, seed: int = 0) -> SearchReport:
        """The smallest plan that keeps a share of the largest plan's score; regret is in size.

        The largest plan is the reference, and costs the first look-up.
        """
        pool, oracle = pool_of(self.observations), GridOracle(self.observations)
        top = int(np.argmax(pool.sizes))
        reference = Lookup(top, oracle.evaluate(pool.point(top)), None, None)
        if reference.measurement.score <= 0:
            raise InputError(
                f"the largest plan's {floor.score} is {reference.measurement.score:g}, of which no share can "
                "be kept; give a score that is above 0"
            )
        goal: Goal = AboveFloor(floor.share * reference.measurement.score)
        outcome = search(oracle, pool, goal, lookups=lookups, seed=seed, measured=[reference])
        every = np.arange(len(pool))
        smallest = float(pool.sizes[goal.best(pool, every, self.observations.scores)])
        regret = float(pool.sizes[outcome.best.index]) - smallest
        return self._report(outcome, pool, f"{floor.score} >= {floor.share:g} of the largest plan's", regret)

    def _report(self, outcome: Outcome, pool: Pool, goal: str, regret: float) -> SearchReport:
        score = self.observations.score
        return report_of(outcome, pool, score=score, size_unit=self.size_unit, goal=goal, regret=regret)
