"""Spaces too large to list: independent features with additive sizes, from which a pool is drawn.

With components x block groups x layer types x bits a product has more plans than can be predicted one by
one. What can be best under some budget, though, is what the knapsack picks under *some* sensitivities, so
the pool is its solutions under many random ones, and their neighbours by one level: for every budget, or,
where the budget is known, just below it, since a plan far below wastes bits that some feature could use.
Plans with one level for all features are in every pool, because they are what a found plan must beat.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from bitloom.study.observations import Floats
from bitloom.study.search.knapsack import Front, solve
from bitloom.study.search.pool import Indices, Point, Pool

LISTED_AT_MOST = 20_000
PICKED, NEAREST, FRONT = 16, 4, 48
SPREADS = (0.25, 0.5, 1.0)
"""Of the random factors: what calibration says is sometimes nearly right and sometimes far off."""


@dataclass(frozen=True, slots=True)
class Space:
    """A product of features: `values[f]`, `sizes[f]` and the additive model's `losses[f]`, by level."""

    features: tuple[str, ...]
    values: Sequence[Floats]
    sizes: Sequence[Floats]
    losses: Sequence[Floats]

    @property
    def plans(self) -> int:
        """Number of plans in the product."""
        return math.prod(len(values) for values in self.values)

    def uniform_points(self) -> list[Point]:
        """The plans with one level for all features, as far up as all have it, the smallest first."""
        shared = range(min(len(values) for values in self.values))
        points = []
        for level in shared:
            values = {name: float(each[level]) for name, each in zip(self.features, self.values, strict=True)}
            points.append(Point(values, float(sum(sizes[level] for sizes in self.sizes))))
        return sorted(points, key=lambda point: point.size)


def draw_pool(space: Space, *, count: int = 4_000, seed: int = 0, limit: float | None = None) -> Pool:
    """All plans of a small space; of a large one about `count`, spread over all sizes.

    With `limit` (in the unit of the sizes) the large space's plans are those just below it; beside them the
    additive model's own front over all sizes, so that what a search reports is a whole front.
    """
    if space.plans <= LISTED_AT_MOST:
        return _pool(space, np.array(list(product(*(range(len(values)) for values in space.values)))))
    generator = np.random.default_rng(seed)
    chosen = _level_plans(space) | _additive_front(space)
    draw = 0
    while len(chosen) < count:
        factors = np.exp(SPREADS[draw % len(SPREADS)] * generator.standard_normal(len(space.features)))
        losses = [loss * factor for loss, factor in zip(space.losses, factors, strict=True)]
        before, draw = len(chosen), draw + 1
        for levels in _picked(solve(losses, space.sizes), limit, generator):
            chosen.update(_neighbourhood(levels, space))
        if len(chosen) == before and draw >= len(SPREADS):
            break
    return _pool(space, np.array(sorted(chosen)))


def _level_plans(space: Space) -> set[tuple[int, ...]]:
    """One level for all features, as far up as all have it; level 0 is the smallest plan."""
    return {(level,) * len(space.features) for level in range(min(len(each) for each in space.values))}


def _additive_front(space: Space) -> set[tuple[int, ...]]:
    """Optima by the losses as they were told: the nearest to sizes in even ratios."""
    front = solve(space.losses, space.sizes)
    sizes = np.geomspace(front.sizes[0], front.sizes[-1], FRONT)
    places = np.unique(np.abs(front.sizes[None, :] - sizes[:, None]).argmin(axis=1))
    return {tuple(levels) for levels in front.levels[places].tolist()}


def _picked(front: Front, limit: float | None, generator: np.random.Generator) -> Indices:
    """Some of a front's plans [plans, features]: the last below the limit, or any, evenly drawn."""
    if limit is None:
        count = len(front.levels)
        kept = np.sort(generator.choice(count, size=min(count, PICKED), replace=False))
        return front.levels[kept]
    below = int(np.searchsorted(front.sizes, limit, side="right"))
    return front.levels[max(below - NEAREST, 0) : below]


def _neighbourhood(levels: Indices, space: Space) -> set[tuple[int, ...]]:
    found = {tuple(levels.tolist())}
    for feature, values in enumerate(space.values):
        for step in (-1, 1):
            level = int(levels[feature]) + step
            if 0 <= level < len(values):
                moved = levels.copy()
                moved[feature] = level
                found.add(tuple(moved.tolist()))
    return found


def _pool(space: Space, levels: Indices) -> Pool:
    columns = range(len(space.features))
    values = np.stack([space.values[index][levels[:, index]] for index in columns], axis=1)
    sizes = np.sum([space.sizes[index][levels[:, index]] for index in columns], axis=0)
    return Pool.of(space.features, values.astype(np.float64), np.asarray(sizes, dtype=np.float64))
