"""Which of two arms goes first: at random, as often the one as the other.

The second request of a pair meets a server that has just answered a similar one. Balanced, that favours
neither arm; random, no rhythm of the machine can side with one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

Turn = TypeVar("Turn")


def interleaved(first: Sequence[Turn], second: Sequence[Turn], *, seed: int) -> Iterator[tuple[int, Turn]]:
    """Both sequences pair by pair, in random order within each: arm number (0 or 1) and its turn.

    In half of the pairs (rounded up) arm 0 goes first. Raises ValueError for unequal lengths.
    """
    swaps = [place % 2 == 1 for place in range(len(first))]
    random.Random(seed).shuffle(swaps)
    for is_swapped, pair in zip(swaps, zip(first, second, strict=True), strict=True):
        for arm in (1, 0) if is_swapped else (0, 1):
            yield arm, pair[arm]
