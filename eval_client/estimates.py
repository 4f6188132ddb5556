"""Scores with standard errors, and what a plan keeps of its base's scores; samples are clustered by image.

A plan and its base are asked the same samples, so what makes a sample hard for both is no error of the share
that is kept. With a_i and b_i their scores of sample i, the share is r = sum a / sum b, and to first order
its error is the sum over samples of (a_i - r b_i) / sum b (the delta method), images being independent (Liang
and Zeger 1986). `kept` is the mean of the tasks' shares; an image may add to the errors of several tasks.

Where no answer differs that sum is 0, which is no certainty. So an error is never below that of half a sample
lost, as Jeffreys's prior says of a rate whose events were not seen: of n samples sqrt(1/2) / n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from bitloom.errors import InputError
from bitloom.results import SampleScore
from eval_client.stats.bootstrap import LEVEL, Array, image_sums

KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score and its standard error over the samples (clustered by image)."""

    value: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval; no bounds where there is only one image."""

    value: float
    low: float | None
    high: float | None


def mean_estimate(scores: Sequence[SampleScore], name: str) -> Estimate:
    """The mean of all samples that have the score."""
    own = [each for each in scores if name in each.scores]
    values = np.array([each.scores[name] for each in own])
    residuals = (values - values.mean()) / len(values)
    return Estimate(float(values.mean()), _clustered(residuals, [each.image_id for each in own]))


def share_name(name: str) -> str:
    """The name of the share that is kept of a score."""
    return f"{name}_{KEPT}"


def shares(
    own: Sequence[SampleScore], base: Sequence[SampleScore], names: Sequence[str]
) -> dict[str, Estimate]:
    """The kept share of each named score, and `kept`, their mean. InputError where a base score is 0."""
    kept, residuals = _linearized(own, base, names)
    images, least = [each.image_id for each in base], _least_errors(base, names)
    errors = [max(_clustered(each, images), low) for each, low in zip(residuals.T, least, strict=True)]
    found = {
        share_name(name): Estimate(float(value), error)
        for name, value, error in zip(names, kept, errors, strict=True)
    }
    return {**found, KEPT: Estimate(float(kept.mean()), _mean_error(residuals, base, names))}


def kept_interval(
    own: Sequence[SampleScore],
    base: Sequence[SampleScore],
    names: Sequence[str],
    other: Sequence[SampleScore] | None = None,
) -> Interval:
    """What is kept on average of the named scores, less what `other` keeps, by Student's t over images."""
    kept, residuals = _linearized(own, base, names)
    if other is not None:
        less, others = _linearized(other, base, names)
        kept, residuals = kept - less, residuals - others
    value, error = float(kept.mean()), _mean_error(residuals, base, names)
    degrees = len({each.image_id for each in base}) - 1
    if degrees < 1:
        return Interval(value, None, None)
    reach = float(special.stdtrit(degrees, 1 - (1 - LEVEL) / 2)) * error
    return Interval(value, value - reach, value + reach)


def _linearized(
    own: Sequence[SampleScore], base: Sequence[SampleScore], names: Sequence[str]
) -> tuple[Array, Array]:
    """Shares kept [names], and what each sample adds to their errors [samples, names]."""
    mine, theirs = _columns(own, names), _columns(base, names)
    totals = theirs.sum(axis=0)
    if totals.min() <= 0:
        nothing = ", ".join(name for name, total in zip(names, totals, strict=True) if total <= 0)
        raise InputError(f"the base's {nothing} is 0, of which no share can be kept; choose other tasks")
    kept = mine.sum(axis=0) / totals
    return kept, (mine - kept * theirs) / totals


def _mean_error(residuals: Array, base: Sequence[SampleScore], names: Sequence[str]) -> float:
    """The standard error of the mean of the named shares."""
    seen = _clustered(residuals.mean(axis=1), [each.image_id for each in base])
    return max(seen, float(np.linalg.norm(_least_errors(base, names))) / len(names))


def _least_errors(base: Sequence[SampleScore], names: Sequence[str]) -> list[float]:
    """What half a sample makes of each share."""
    samples = (sum(name in each.scores for each in base) for name in names)
    return [float(np.sqrt(0.5)) / count for count in samples]


def _columns(scores: Sequence[SampleScore], names: Sequence[str]) -> Array:
    """Scores [samples, names]; 0 where a sample is of another task."""
    return np.array([[each.scores.get(name, 0.0) for name in names] for each in scores], dtype=np.float64)


def _clustered(residuals: Array, images: Sequence[str]) -> float:
    """The standard error of a sum whose residuals, summed by image, are independent; 0 for one image."""
    sums = image_sums(residuals[:, None], images)[:, 0]
    count = len(sums)
    return float(np.sqrt(np.sum(sums**2) * count / (count - 1))) if count > 1 else 0.0
