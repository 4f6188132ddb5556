"""Parts of a grid without its lowest bits: what holds for all rows may come from the collapsed ones only."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from bitloom.study.observations import Observations

ALL_SUBSETS_UP_TO = 4


def restrictions(observations: Observations) -> Iterator[tuple[str, Observations]]:
    """Named parts: `bits >= k` for each k that leaves something out, then lowest levels of sets of features.

    The latter (`vit_bits > 2`) are all subsets of up to four features, else each alone and all together.
    Features that are no bits (not whole numbers of 2..16) are left as they are.
    """
    bits = [index for index in range(len(observations.features)) if is_bits(observations, index)]
    yield from _thresholds(observations, bits)
    sizes = range(1, len(bits) + 1) if len(bits) <= ALL_SUBSETS_UP_TO else (1, len(bits))
    for size in sizes:
        for chosen in combinations(bits, size):
            lowest = [observations.levels(index)[0] for index in chosen]
            name = ", ".join(
                f"{observations.features[index]} > {low:g}" for index, low in zip(chosen, lowest, strict=True)
            )
            yield name, observations.subset(np.all(observations.values[:, chosen] > lowest, axis=1))


def is_bits(observations: Observations, feature: int) -> bool:
    """Whether a feature's levels are whole numbers of bits, 2..16, and no categories."""
    levels = observations.levels(feature)
    whole = np.all((levels == np.round(levels)) & (levels >= 2) & (levels <= 16))
    return bool(whole) and observations.features[feature] not in observations.categories


def _thresholds(observations: Observations, bits: list[int]) -> Iterator[tuple[str, Observations]]:
    if not bits:
        return
    levels = sorted({float(level) for index in bits for level in observations.levels(index)})
    for level in levels[1:-1]:
        yield f"bits >= {level:g}", observations.subset(np.all(observations.values[:, bits] >= level, axis=1))
