"""A difference between two runs on the same images: interval, equivalence, bootstrap p-value.

The reported interval is the expanded percentile interval of the images at hand (see `bootstrap`).

Resampling these never shows what they do not: where no answer differs, every draw is 0, and where one in
200 does, its share is known much worse than the draws say. Bounds of what was hardly seen, and all bounds of
equivalence, are therefore those of a bootstrap over the images and one more: for the upper bound an image
that A lost and B has, for the lower one that B lost. On 0/1 differences that reproduces the exact binomial
bounds (Clopper and Pearson 1934) for rare differences within a few per cent. It costs up to four lost images,
which for a score without a bound (CIDEr) may be far more than the images differ by: too much for an
interval once enough of them differ, and what a claim of equivalence must bear.

Equivalence within a margin m is two one-sided tests (Schuirmann 1987) at 5 % each: the 90 % interval lies
between -m and m.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eval_client.stats.bootstrap import (
    LEVEL,
    RESAMPLES,
    Array,
    draw_counts,
    expanded_tail,
    tail_of_share,
)
from eval_client.stats.power import ALPHA, detectable_difference

_ENOUGH_WHOLE, _ENOUGH = 10, 6
"""Images that differ from which on these say enough by themselves: of differences by whole numbers, and of
others, where under 6 decide nothing (see `power`) and one lost image may be a hundred times what they differ
by. Simulated over 200 images, plain intervals held the truth in 92 to 97 % where 6 or 10 differ on average
(87 % if all differ one way and unevenly), and in 70 to 88 % where 2 do."""

Difference = Callable[[Array], Array]
"""From sums [draws, k] to B minus A [draws]."""


@dataclass(frozen=True, slots=True)
class PairedTerms:
    """What two runs add up to, image by image.

    sums: [images, k]. a_lost, b_lost: [k], an image of middling weight that one run lost and the other has.
    differing: images whose results differ; is_whole: by whole numbers only (0/1 tasks).
    """

    sums: Array
    a_lost: Array
    b_lost: Array
    difference: Difference
    differing: int
    is_whole: bool = False

    @property
    def is_rare(self) -> bool:
        """Whether too few images differ to tell from them alone how much others would."""
        return self.differing < (_ENOUGH_WHOLE if self.is_whole else _ENOUGH)


@dataclass(frozen=True, slots=True)
class PairedDraws:
    """B minus A, and its sorted draws: `plain` of the images alone, `lower` and `upper` with one more.

    is_rare: as in the terms.
    """

    value: float
    images: int
    scale: float
    is_rare: bool
    plain: Array
    lower: Array
    upper: Array

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference."""
        if self.is_rare:
            return self._bounds((1 - LEVEL) / 2)
        tail = expanded_tail((1 - LEVEL) / 2, self.images)
        low, high = np.quantile(self.plain, [tail, 1 - tail])
        return float(low), float(high)

    @property
    def shown_margin(self) -> float:
        """The smallest margin within which the runs are equivalent at the 5 % level."""
        low, high = self._bounds(ALPHA)
        return max(-low, high)

    def equivalence_p(self, margin: float) -> float:
        """The p-value of equivalence within `margin` (TOST); at most ALPHA where they are equivalent."""
        count = len(self.lower)
        below = np.searchsorted(self.lower, -margin, side="right")
        above = count - np.searchsorted(self.upper, margin, side="left")
        share = (max(below, above) + 1) / (count + 1)
        return tail_of_share(float(share), self.images)

    @property
    def bootstrap_p(self) -> float:
        """Two-sided: how often draws are as far from the difference as the difference is from 0."""
        if self.value == 0:
            return 1.0
        widened = np.abs(self.plain - self.value) * np.sqrt(self.images / (self.images - 1))
        return float(((widened >= abs(self.value)).sum() + 1) / (len(self.plain) + 1))

    @property
    def detectable(self) -> float:
        """The smallest true difference that this sample finds with 80 % chance."""
        error = float(np.std(self.plain)) * float(np.sqrt(self.images / (self.images - 1)))
        return detectable_difference(error, self.images, self.scale if self.is_rare else 0.0)

    def _bounds(self, tail: float) -> tuple[float, float]:
        cut = expanded_tail(tail, self.images)
        return float(np.quantile(self.lower, cut)), float(np.quantile(self.upper, 1 - cut))


def draw_pairs(terms: PairedTerms, *, seed: int, resamples: int = RESAMPLES) -> PairedDraws:
    """Bootstrap a difference over at least two images; equal seeds give equal draws."""
    images = len(terms.sums)
    lower, upper, plain = [], [], []
    for counts in draw_counts(images + 1, seed=seed, resamples=resamples):
        drawn, extra = counts[:, :-1] @ terms.sums, counts[:, -1:]
        lower.append(terms.difference(drawn + extra * terms.b_lost))
        upper.append(terms.difference(drawn + extra * terms.a_lost))
    for counts in draw_counts(images, seed=seed, resamples=resamples):
        plain.append(terms.difference(counts @ terms.sums))
    loss = terms.difference(terms.b_lost[None])[0]
    return PairedDraws(
        value=float(terms.difference(terms.sums.sum(axis=0, keepdims=True))[0]),
        images=images,
        scale=abs(float(loss)),
        is_rare=terms.is_rare,
        plain=np.sort(np.concatenate(plain)),
        lower=np.sort(np.concatenate(lower)),
        upper=np.sort(np.concatenate(upper)),
    )


def mean_terms(a: Array, b: Array, weights: Array, scale: float) -> PairedTerms:
    """Terms of a difference of means.

    Args:
        a, b: [images], sums of an image's scores.
        weights: [images], how many samples an image has.
        scale: what a sample scores at most, or on average where that has no bound.
    """
    weight = float(weights.mean())
    return PairedTerms(
        sums=np.stack([b - a, weights], axis=1),
        a_lost=np.array([scale * weight, weight]),
        b_lost=np.array([-scale * weight, weight]),
        difference=lambda sums: sums[:, 0] / sums[:, 1],
        differing=int((a != b).sum()),
        is_whole=bool((b - a == np.rint(b - a)).all()),
    )
