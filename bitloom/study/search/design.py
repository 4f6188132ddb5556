"""Which plans to measure first: what the additive model would pick, under sensitivities drawn at random.

The additive model says that a plan's loss is the sum of its features' losses. Its sensitivities come from
a calibration pass, or, where there was none, from the noise law weighted by each feature's share of the
size (equal relative error for each weight). They are known only roughly, so each starting plan is the
exact optimum under sensitivities multiplied by log-normal factors: one plan near the truth for each
guess at it, and none that no guess supports. The smallest plan is measured as well: what it loses is the
scale of everything that can be lost, without which corners of the pool look cheap to try.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitloom.study.observations import Floats
from bitloom.study.search.pool import Indices, Pool, noise_law

DOUBT = 1.0


def prior_losses(pool: Pool) -> list[Floats]:
    """The additive model's loss of each feature by level, where nothing was measured or calibrated."""
    design = np.column_stack((pool.values, np.ones(len(pool))))
    slopes = np.linalg.lstsq(design, pool.sizes, rcond=None)[0][:-1]
    shares = np.maximum(slopes, 0.0)
    shares = shares / shares.sum() if shares.sum() > 0 else np.full(len(slopes), 1.0 / len(slopes))
    values = (pool.level_values(index) for index in range(len(pool.features)))
    return [share * noise_law(levels) for share, levels in zip(shares, values, strict=True)]


def additive_losses(pool: Pool, losses: Sequence[Floats]) -> Floats:
    """The additive model's loss of every plan of the pool."""
    return np.asarray(np.sum([loss[pool.levels[:, f]] for f, loss in enumerate(losses)], axis=0))


def starting_plans(
    pool: Pool, allowed: Indices, losses: Sequence[Floats], count: int, generator: np.random.Generator
) -> list[int]:
    """Up to `count` of `allowed`: the additive optimum, the smallest plan, optima under random factors.

    Equal losses are drawn among at random, so features of which nothing is assumed start at random.
    """
    chosen: list[int] = []
    factors = np.ones(len(losses))
    while len(chosen) < min(count, len(allowed)):
        scaled = [loss * factor for loss, factor in zip(losses, factors, strict=True)]
        total = additive_losses(pool, scaled)[allowed]
        order = allowed[np.lexsort((generator.random(len(allowed)), total))]
        chosen.append(next(int(index) for index in order if int(index) not in chosen))
        smallest = int(allowed[np.argmin(pool.sizes[allowed])])
        if len(chosen) == 1 and count > 1 and smallest != chosen[0]:
            chosen.append(smallest)
        factors = np.exp(DOUBT * generator.standard_normal(len(losses)))
    return chosen


def front_plans(pool: Pool, losses: Sequence[Floats], count: int) -> list[int]:
    """Up to `count` plans of different sizes, the smallest first: additive optima below each of some sizes.

    Sizes are in even ratios from the smallest plan's up to the largest's, which is not among them: where
    quality begins to suffer is not known, and the whole model's is.
    """
    limits = np.geomspace(pool.sizes.min(), pool.sizes.max(), count + 1)[:-1]
    total = additive_losses(pool, losses)
    chosen: list[int] = []
    for limit in limits:
        below = np.flatnonzero(pool.sizes <= limit * (1 + 1e-9))
        best = int(below[np.lexsort((pool.sizes[below], total[below]))[0]])
        if best not in chosen:
            chosen.append(best)
    return chosen
