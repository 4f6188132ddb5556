"""Spaces too large to list: independent features with additive sizes, from which a pool is drawn.

With components x block groups x layer types x bits a product has more plans than can be predicted one by
one. What can be best under some budget, though, is what the knapsack picks under *some* sensitivities, so
the pool is its solutions under many random ones, for every budget, and their neighbours by one level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bitloom.study.observations import Floats
from bitloom.study.search.knapsack import solve
from bitloom.study.search.pool import Indices, Pool

LISTED_AT_MOST = 20_000
SPREAD = 1.0


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


def draw_pool(space: Space, *, count: int = 4_000, seed: int = 0) -> Pool:
    """All plans of a small space; of a large one about `count`, spread over all sizes."""
    if space.plans <= LISTED_AT_MOST:
        return _pool(space, np.array(list(product(*(range(len(values)) for values in space.values)))))
    generator = np.random.default_rng(seed)
    chosen: set[tuple[int, ...]] = set()
    while len(chosen) < count:
        factors = np.exp(SPREAD * generator.standard_normal(len(space.features)))
        losses = [loss * factor for loss, factor in zip(space.losses, factors, strict=True)]
        front = solve(losses, space.sizes).levels
        before = len(chosen)
        for levels in front[_spread(len(front), generator)]:
            chosen.update(_neighbourhood(levels, space))
        if len(chosen) == before:
            break
    return _pool(space, np.array(sorted(chosen)))


def _spread(count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(generator.choice(count, size=min(count, 16), replace=False))


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
