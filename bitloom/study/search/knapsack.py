"""The multiple-choice knapsack, solved exactly: one level for each feature, least loss under a size.

States are kept as a Pareto front of (size, loss), merged feature by feature (Nemhauser and Ullmann 1969):
a state that is larger and no better than another can be part of no optimum, whatever follows. So one
pass answers every budget at once, with sizes of any kind (bytes or fractions of a bit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitloom.study.observations import Floats
from bitloom.study.search.pool import Indices


@dataclass(frozen=True, slots=True)
class Front:
    """The optimal choices by size: `sizes` ascend, `losses` descend, `levels` [choices, features]."""

    sizes: Floats
    losses: Floats
    levels: Indices

    def under(self, budget: float) -> Indices | None:
        """Levels [features] of the least loss at no more than `budget`, or None where nothing fits."""
        count = int(np.searchsorted(self.sizes, budget, side="right"))
        return None if count == 0 else self.levels[count - 1]


def solve(losses: Sequence[Floats], sizes: Sequence[Floats]) -> Front:
    """All optimal choices of one level a feature; `losses[f]` and `sizes[f]` are by level.

    Raises ValueError where the tables do not match or a feature has no level.
    """
    if [len(each) for each in losses] != [len(each) for each in sizes] or any(
        len(each) == 0 for each in losses
    ):
        raise ValueError("each feature needs as many sizes as losses, and at least one level")
    front = Front(np.zeros(1), np.zeros(1), np.zeros((1, 0), dtype=np.int64))
    for loss, size in zip(losses, sizes, strict=True):
        front = _extend(front, loss, size)
    return front


def _extend(front: Front, loss: Floats, size: Floats) -> Front:
    sizes = (front.sizes[:, None] + size[None, :]).ravel()
    losses = (front.losses[:, None] + loss[None, :]).ravel()
    order = np.lexsort((losses, sizes))
    best_before = np.minimum.accumulate(np.concatenate(([np.inf], losses[order][:-1])))
    kept = order[losses[order] < best_before]
    parents, levels = np.divmod(kept, len(loss))
    return Front(sizes[kept], losses[kept], np.column_stack((front.levels[parents], levels)))
