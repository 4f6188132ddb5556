"""95 % intervals by the percentile bootstrap, clustered by image.

Samples about one image are not independent, so images are drawn with replacement, not samples. A draw of
the bootstrap is a vector of counts, one an image; every statistic here is a function of sums over samples,
so it is computed from per-image sums without touching the samples again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array], Array]

RESAMPLES = 2000
LEVEL = 0.95
_DRAWS_AT_ONCE = 250


def mean_interval(
    values: Sequence[float], images: Sequence[str], *, seed: int, resamples: int = RESAMPLES
) -> tuple[float, float] | None:
    """Interval of the mean of `values`, value i belonging to image `images[i]`; None for under two images."""
    terms = np.stack([np.asarray(values, dtype=np.float64), np.ones(len(values))], axis=1)
    return interval(terms, images, lambda sums: sums[:, 0] / sums[:, 1], seed=seed, resamples=resamples)


def share_interval(
    values: Sequence[float], images: Sequence[str], *, seed: int
) -> tuple[float, float] | None:
    """As `mean_interval`, for values between 0 and 1.

    Where all are 0, or all 1, resampling says nothing: then it is the exact binomial interval (Clopper and
    Pearson 1934) of as many trials as there are images.
    """
    count = len(set(images))
    if count < 2:
        return None
    beyond = ((1 - LEVEL) / 2) ** (1 / count)
    if all(value == 1 for value in values):
        return beyond, 1.0
    if all(value == 0 for value in values):
        return 0.0, 1 - beyond
    return mean_interval(values, images, seed=seed)


def interval(
    terms: Array, images: Sequence[str], statistic: Statistic, *, seed: int, resamples: int = RESAMPLES
) -> tuple[float, float] | None:
    """Interval of `statistic` of the summed terms; None for under two images.

    Args:
        terms: [samples, k], what each sample adds to the k sums.
        images: the image of each sample.
        statistic: from sums [draws, k] to values [draws].
        seed: of the draws; equal seeds give equal intervals.
        resamples: number of draws.
    """
    names, owner = np.unique(np.asarray(images), return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.zeros((len(names), terms.shape[1]))
    np.add.at(sums, owner, terms)
    rng = np.random.default_rng(seed)
    odds = np.full(len(names), 1 / len(names))
    drawn = []
    for start in range(0, resamples, _DRAWS_AT_ONCE):
        draws = min(_DRAWS_AT_ONCE, resamples - start)
        counts = rng.multinomial(len(names), odds, size=draws).astype(np.float64)
        drawn.append(statistic(counts @ sums))
    low, high = np.quantile(np.concatenate(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
