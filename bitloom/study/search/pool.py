"""The plans a search may choose from: one point a plan, with its size known before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitloom.study.observations import Floats, Observations

Indices = NDArray[np.int64]
LOWEST_BITS, HIGHEST_BITS = 2, 16


@dataclass(frozen=True, slots=True)
class Point:
    """One plan as the search sees it: a value for each feature, and its size in the pool's unit."""

    values: Mapping[str, float]
    size: float


@dataclass(frozen=True, slots=True)
class Pool:
    """All candidates: `values` and `levels` [plans, features], `sizes` [plans] in bytes or bits per weight.

    `levels` are the ranks of the values: level 0 is the smallest value that a feature has in the pool.
    """

    features: tuple[str, ...]
    values: Floats
    levels: Indices
    sizes: Floats

    @classmethod
    def of(cls, features: Sequence[str], values: Floats, sizes: Floats) -> Pool:
        """A pool of the given points; ValueError where values and sizes do not fit together."""
        if values.shape != (len(sizes), len(features)):
            raise ValueError(f"values {values.shape} are not {len(sizes)} plans of {len(features)} features")
        ranks = [np.unique(column, return_inverse=True)[1] for column in values.T]
        return cls(tuple(features), values, np.stack(ranks, axis=1).astype(np.int64), sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    def point(self, index: int) -> Point:
        """The plan at `index`."""
        return Point(
            dict(zip(self.features, self.values[index].tolist(), strict=True)), float(self.sizes[index])
        )

    def level_values(self, feature: int) -> Floats:
        """The values of a feature by level."""
        return np.unique(self.values[:, feature])


def pool_of(observations: Observations) -> Pool:
    """The measured plans as a pool, in the order of the file; ValueError where their sizes are not known."""
    if observations.sizes is None:
        raise ValueError("the observations have no sizes; read them with a size column")
    return Pool.of(observations.features, observations.values, observations.sizes)


def noise_law(values: Floats) -> Floats:
    """Expected loss of each level of a bit feature, from 1 at the fewest bits to 0 at the most.

    Uniform quantization to b bits has a mean squared error proportional to 4^-b (Bennett 1948), and the
    loss is quadratic in small weight errors. Features that are no bits (2..16) get zeros: nothing is
    assumed of them.
    """
    is_bits = bool(np.all((values >= LOWEST_BITS) & (values <= HIGHEST_BITS) & (values == np.round(values))))
    if not is_bits or len(values) < 2:
        return np.zeros(len(values))
    law = 4.0**-values
    return np.asarray((law - law.min()) / (law.max() - law.min()), dtype=np.float64)
