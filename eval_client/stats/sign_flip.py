"""p-values of paired differences: does it matter which of the two runs an image's result came from?

Under the null hypothesis the two runs are exchangeable image by image, so every image's summed difference
may have its sign flipped. Images without a difference drop out.

For differences that are whole numbers (0/1 tasks) the null distribution is exact: images with the same
absolute difference m contribute m (2 B - n), B binomial, and the distributions of several m are
convolved. With one sample an image this is the exact McNemar test (McNemar 1947; two-sided by symmetry);
with several it is its extension to clusters. Other differences are flipped in all ways where these are few,
else at random, with the observed one counted among the draws (Phipson and Smyth 2010), so that p is never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from eval_client.stats.bootstrap import Array

FLIPS = 9999
_ENUMERATED = 13
_NUMBERS_AT_ONCE = 4_000_000
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class PValue:
    """Two-sided: the chance of a difference at least as large. `equal`: of one just as large, of that."""

    value: float
    equal: float


NO_DIFFERENCE = PValue(1.0, 1.0)


def exact_whole(differences: Array) -> PValue:
    """The exact p-value of whole-numbered differences, one an image (see the module's header)."""
    sizes, images = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if not len(sizes):
        return NO_DIFFERENCE
    chances: Array = np.ones(1)
    for size, count in zip(sizes.astype(int), images, strict=True):
        spread = np.zeros(2 * size * count + 1)
        spread[:: 2 * size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.asarray(np.convolve(chances, spread), dtype=np.float64)
    outcomes = np.abs(np.arange(len(chances)) - len(chances) // 2)
    observed = abs(round(float(differences.sum())))
    beyond = float(chances[outcomes > observed].sum())
    equal = float(chances[outcomes == observed].sum())
    return PValue(min(1.0, beyond + equal), equal)


def permutation(differences: Array, *, seed: int, flips: int = FLIPS) -> PValue:
    """The p-value of real differences, one an image: exact for a few that differ, else by random flips."""
    moved = differences[differences != 0]
    if not len(moved):
        return NO_DIFFERENCE
    observed = abs(float(moved.sum()))
    slack = _TOLERANCE * float(np.abs(moved).sum())
    is_exact = len(moved) <= _ENUMERATED
    sums = _all_flips(moved) if is_exact else _random_flips(moved, seed, flips)
    as_large = int((sums >= observed - slack).sum())
    equal = int((np.abs(sums - observed) <= slack).sum())
    if is_exact:
        return PValue(as_large / len(sums), equal / len(sums))
    return PValue((as_large + 1) / (flips + 1), (equal + 1) / (flips + 1))


def _all_flips(moved: Array) -> Array:
    bits = np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1
    return np.asarray(np.abs((2.0 * bits - 1) @ moved))


def _random_flips(moved: Array, seed: int, flips: int) -> Array:
    """Absolute sums: the sum of what keeps its sign, twice, less the sum of all."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _NUMBERS_AT_ONCE // len(moved))
    kept = []
    for start in range(0, flips, at_once):
        count = min(at_once, flips - start)
        bits = np.unpackbits(rng.integers(0, 256, (count, -(-len(moved) // 8)), np.uint8), axis=1)
        kept.append(bits[:, : len(moved)].astype(np.float64) @ moved)
    return np.asarray(np.abs(2 * np.concatenate(kept) - moved.sum()))
