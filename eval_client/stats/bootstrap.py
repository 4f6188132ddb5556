"""95 % intervals by the percentile bootstrap, clustered by image.

Samples about one image are not independent, so images are drawn with replacement, not samples. A draw of
the bootstrap is a vector of counts, one an image; every statistic here is a function of sums over samples,
so it is computed from per-image sums without touching the samples again.

With few images percentiles are too narrow, as a normal quantile is where Student's belongs: tails are
therefore taken at P(Z < -t sqrt(n / (n - 1))), t being Student's quantile with n - 1 degrees of freedom
(the expanded percentile interval of Hesterberg 2015, "What Teachers Should Know About the Bootstrap").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array], Array]

RESAMPLES = 2000
LEVEL = 0.95
_NUMBERS_AT_ONCE = 4_000_000


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
    sums = image_sums(terms, images)
    if len(sums) < 2:
        return None
    drawn = np.concatenate(
        [statistic(counts @ sums) for counts in draw_counts(len(sums), seed=seed, resamples=resamples)]
    )
    tail = expanded_tail((1 - LEVEL) / 2, len(sums))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def image_sums(terms: Array, images: Sequence[str]) -> Array:
    """Terms [samples, k] summed by image: [images, k], in the order of the images' names."""
    names, owner = np.unique(np.asarray(images), return_inverse=True)
    sums = np.zeros((len(names), terms.shape[1]))
    np.add.at(sums, owner, terms)
    return sums


def draw_counts(images: int, *, seed: int, resamples: int) -> Iterator[Array]:
    """How often each image is drawn: [draws, images], in batches of bounded size."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _NUMBERS_AT_ONCE // images)
    for start in range(0, resamples, at_once):
        draws = min(at_once, resamples - start)
        places = rng.integers(0, images, size=(draws, images)) + images * np.arange(draws)[:, None]
        counts = np.bincount(places.ravel(), minlength=draws * images)
        yield counts.reshape(draws, images).astype(np.float64)


def expanded_tail(tail: float, images: int) -> float:
    """The share of draws to cut off so that a tail of `tail` is left out of the truth."""
    student = float(special.stdtrit(images - 1, tail))
    return float(special.ndtr(student * np.sqrt(images / (images - 1))))


def tail_of_share(share: float, images: int) -> float:
    """The inverse of `expanded_tail`: which tail a share of the draws stands for."""
    if share <= 0 or share >= 1:
        return share
    return float(special.stdtr(images - 1, special.ndtri(share) * np.sqrt((images - 1) / images)))
