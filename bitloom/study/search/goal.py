"""What a search is for: the best plan under a size, or the smallest plan that keeps enough quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bitloom.errors import InputError
from bitloom.study.observations import Floats
from bitloom.study.search.design import front_plans, starting_plans
from bitloom.study.search.pool import Indices, Pool
from bitloom.study.search.surrogate import Belief


class Goal(Protocol):
    """Ranks measured plans, and says what measuring another would be worth."""

    def allowed(self, pool: Pool) -> NDArray[np.bool_]:
        """Plans [plans] that may be measured."""
        ...

    def starts(
        self, pool: Pool, losses: Sequence[Floats], count: int, generator: np.random.Generator
    ) -> list[int]:
        """Up to `count` allowed plans to measure first, by the additive model's `losses`."""
        ...

    def best(self, pool: Pool, measured: Indices, scores: Floats) -> int:
        """Position in `measured` of the plan to recommend, given the believed scores of the measured."""
        ...

    def gain(self, pool: Pool, belief: Belief, best: int, /) -> Floats:
        """Expected gain [plans] from measuring each plan, where `best` is the index of the best so far."""
        ...

    def excludes(self, pool: Pool, belief: Belief, best: int, rest: Indices, /) -> bool:
        """Whether no plan of `rest` can be better than `best`, by 95 % intervals."""
        ...


Z95 = 1.96
FLOOR_STARTS = 5


@dataclass(frozen=True, slots=True)
class UnderBudget:
    """The highest score at a size of at most `limit`."""

    limit: float

    def allowed(self, pool: Pool) -> NDArray[np.bool_]:
        """Plans no larger than the budget; InputError where it is outside the pool's sizes."""
        smallest, largest = float(pool.sizes.min()), float(pool.sizes.max())
        if self.limit < smallest:
            raise InputError(
                f"budget {self.limit:g} is below the smallest plan ({smallest:g}); give at least that"
            )
        if self.limit > largest:
            raise InputError(
                f"budget {self.limit:g} is above the largest plan ({largest:g}), so there is nothing to "
                "trade; give a smaller budget"
            )
        return pool.sizes <= self.limit

    def starts(
        self, pool: Pool, losses: Sequence[Floats], count: int, generator: np.random.Generator
    ) -> list[int]:
        """The additive optimum under the limit, the smallest plan, optima under random sensitivities."""
        return starting_plans(pool, np.flatnonzero(self.allowed(pool)), losses, count, generator)

    def best(self, pool: Pool, measured: Indices, scores: Floats) -> int:
        """The highest score; among equals the smallest plan."""
        return int(np.lexsort((pool.sizes[measured], -scores))[0])

    def gain(self, _pool: Pool, belief: Belief, best: int) -> Floats:
        """Expected improvement over the best."""
        return belief.expected_improvement(float(belief.mean[best]))

    def excludes(self, _pool: Pool, belief: Belief, best: int, rest: Indices) -> bool:
        """Whether the best's interval lies above all others'."""
        low = belief.mean[best] - Z95 * belief.deviation[best]
        return bool(np.all(belief.mean[rest] + Z95 * belief.deviation[rest] < low))


@dataclass(frozen=True, slots=True)
class AboveFloor:
    """The smallest size at a score of at least `level`."""

    level: float

    def allowed(self, pool: Pool) -> NDArray[np.bool_]:
        """Every plan."""
        return np.ones(len(pool), dtype=np.bool_)

    def starts(
        self, pool: Pool, losses: Sequence[Floats], count: int, _generator: np.random.Generator
    ) -> list[int]:
        """Additive optima of a few sizes: the level is somewhere between the smallest and the largest."""
        return front_plans(pool, losses, min(count, FLOOR_STARTS))

    def best(self, pool: Pool, measured: Indices, scores: Floats) -> int:
        """The smallest plan at or above the level; the highest score where none is."""
        reaching = np.flatnonzero(scores >= self.level)
        if len(reaching) == 0:
            return int(np.argmax(scores))
        return int(reaching[np.lexsort((-scores[reaching], pool.sizes[measured[reaching]]))[0]])

    def gain(self, pool: Pool, belief: Belief, best: int) -> Floats:
        """Size saved times the probability of reaching the level."""
        saved = np.maximum(pool.sizes[best] - pool.sizes, 0.0)
        return np.asarray(saved * belief.chance_above(self.level))

    def excludes(self, pool: Pool, belief: Belief, best: int, rest: Indices) -> bool:
        """Whether every smaller plan's interval lies below the level."""
        smaller = rest[pool.sizes[rest] < pool.sizes[best]]
        return bool(np.all(belief.mean[smaller] + Z95 * belief.deviation[smaller] < self.level))
