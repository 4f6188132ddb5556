"""How far two features are from adding up: Friedman's H statistic over their partial dependence.

The partial dependence F(a, b) is the forest's mean prediction with the two features set to a and b and all
others as measured. Its two-way table splits into row effects, column effects and a remainder;

    H^2 = sum remainder^2 / sum (F - mean F)^2

is 0 where the features add up, 1 where only their combination counts (Friedman and Popescu 2008, with
all levels weighted alike, as in a full grid).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from bitloom.study.observations import Floats, Observations

BACKGROUND_ROWS = 64


@dataclass(frozen=True, slots=True)
class Interaction:
    """Two features by index, their H^2, and the partial dependence table [levels of first, of second]."""

    first: int
    second: int
    strength: float
    table: Floats


def pairwise(forest: Any, observations: Observations, *, seed: int) -> list[Interaction]:
    """Interactions of all pairs, strongest first."""
    generator = np.random.default_rng(seed)
    rows = min(BACKGROUND_ROWS, len(observations))
    background = observations.values[generator.choice(len(observations), rows, replace=False)]
    found = []
    for first, second in combinations(range(len(observations.features)), 2):
        table = _dependence(forest, background, observations, first, second)
        found.append(Interaction(first, second, remainder_share(table), table))
    return sorted(found, key=lambda each: -each.strength)


def remainder_share(table: Floats) -> float:
    """H^2 of a two-way table; 0 where the table is constant."""
    centred = table - table.mean()
    total = float(np.sum(centred**2))
    if total <= 1e-12 * max(float(np.sum(table**2)), 1e-300):
        return 0.0
    remainder = centred - centred.mean(axis=1, keepdims=True) - centred.mean(axis=0, keepdims=True)
    return float(np.sum(remainder**2) / total)


def _dependence(
    forest: Any, background: Floats, observations: Observations, first: int, second: int
) -> Floats:
    rows, columns = observations.levels(first), observations.levels(second)
    cells = len(rows) * len(columns)
    points = np.tile(background, (cells, 1))
    points[:, first] = np.repeat(rows, len(columns) * len(background))
    points[:, second] = np.tile(np.repeat(columns, len(background)), len(rows))
    predicted = np.asarray(forest.predict(points), dtype=np.float64)
    return np.asarray(predicted.reshape(len(rows), len(columns), len(background)).mean(axis=2))
