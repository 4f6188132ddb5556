"""What measured plans say of all others: a Gaussian process over the levels of the features.

A plan's score is modelled as

    score(x) = c + trend(x) + g(x) + e(x)

    trend   -sum_f b_f * loss_f(x_f): the additive model's losses, scaled so that the largest of each
            feature are 1 on average; b_f is normal around b with standard deviation b/2, so that fewer
            bits are hardly ever believed to help
    g       smooth in the ranks of the levels, covariance a^2 * prod_f matern52(|r_f - r'_f| / l_f): the
            interactions, where the additive model fails (one collapsed component takes all with it)
    e       each plan's own deviation, standard deviation w, which no other plan tells anything of

The parameters (b, a, l, w) are not fitted: with a handful of measurements their maximum likelihood is
arbitrary. Predictions are averaged over draws from their priors, weighted by the likelihood of what was
measured (Rasmussen and Williams 2006, section 5.2). Priors are in units of the measured scores' spread,
and of a feature's whole range of ranks, so that they are the same for every grid. Length scales grow with
the square root of the number of features, or points of many features would all be strangers (Hvarfner,
Hellsten and Nardi 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from bitloom.study.observations import Floats
from bitloom.study.search.pool import Indices, Pool

DRAWS = 64
KEPT_WEIGHT = 1e-3
OFFSET_VARIANCE = 4.0
SLOPE_DOUBT = 0.5
JITTER = 1e-8


@dataclass(frozen=True, slots=True)
class Priors:
    """Log-normal priors as (median, spread of the logarithm); `length` is that of a single feature."""

    length: tuple[float, float] = (0.3, 1.0)
    amplitude: tuple[float, float] = (1.0, 0.7)
    slope: tuple[float, float] = (1.0, 0.7)
    deviation: tuple[float, float] = (0.1, 1.0)


@dataclass(frozen=True, slots=True)
class Belief:
    """Predicted scores of plans: a mixture of normals, `means` and `deviations` [draws, plans]."""

    weights: Floats
    means: Floats
    deviations: Floats

    @property
    def mean(self) -> Floats:
        """Mean of each plan's score [plans]."""
        return np.asarray(self.weights @ self.means)

    @property
    def deviation(self) -> Floats:
        """Standard deviation of each plan's score [plans], the spread between draws included."""
        second = self.weights @ (self.deviations**2 + self.means**2)
        return np.asarray(np.sqrt(np.maximum(second - self.mean**2, 0.0)))

    def expected_improvement(self, best: float) -> Floats:
        """Expectation of max(score - best, 0) of each plan [plans] (Jones, Schonlau and Welch 1998)."""
        z = (self.means - best) / self.deviations
        density = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
        return np.asarray(self.weights @ (self.deviations * (z * ndtr(z) + density)))

    def chance_above(self, level: float) -> Floats:
        """Probability that each plan's score is at least `level` [plans]."""
        return np.asarray(self.weights @ ndtr((self.means - level) / self.deviations))


class Surrogate:
    """The model over one pool; `learn` gives the belief about all its plans from some measured ones."""

    def __init__(
        self, pool: Pool, losses: Sequence[Floats], priors: Priors | None = None, draws: int = DRAWS
    ) -> None:
        priors = priors or Priors()
        features = len(pool.features)
        normal = ndtri(_low_discrepancy(draws, features + 3))
        self._levels = pool.levels
        self._slope = _log_normal(priors.slope, normal[:, 0])
        self._amplitude = _log_normal(priors.amplitude, normal[:, 1])
        self._deviation = _log_normal(priors.deviation, normal[:, 2])
        length = np.sqrt(features) * _log_normal(priors.length, normal[:, 3:])
        counts = [len(pool.level_values(index)) for index in range(features)]
        self._correlations = [_matern(count, length[:, index]) for index, count in enumerate(counts)]
        self._losses = _scaled(losses)

    def learn(self, measured: Indices, scores: Floats, standard_errors: Floats) -> Belief:
        """Belief about every plan of the pool; `measured` are indices of plans, without repeats.

        A plan that was measured without error is believed to have exactly its score.
        """
        centre, scale = float(scores.mean()), _scale(scores)
        targets = (scores - centre) / scale
        noise = (standard_errors / scale) ** 2 + JITTER
        every = np.arange(len(self._slope))
        covariance = self._covariance(every, measured, measured) + np.eye(len(measured)) * (
            self._deviation[:, None, None] ** 2 + noise
        )
        lower = np.linalg.cholesky(covariance)
        residuals = targets[None, :] - self._trend(every, measured)
        whitened = np.linalg.solve(lower, residuals[:, :, None])[:, :, 0]
        log_likelihood = -0.5 * np.sum(whitened**2, axis=1) - np.sum(
            np.log(np.diagonal(lower, axis1=1, axis2=2)), axis=1
        )
        weights = np.exp(log_likelihood - log_likelihood.max())
        kept = np.flatnonzero(weights >= KEPT_WEIGHT * weights.max())
        inverse = np.asarray(np.linalg.inv(covariance[kept]), dtype=np.float64)
        means, variances = self._predict(kept, measured, inverse, residuals[kept])
        return Belief(weights[kept] / weights[kept].sum(), centre + scale * means, scale * np.sqrt(variances))

    def _predict(
        self, draws: Indices, measured: Indices, inverse: Floats, residuals: Floats
    ) -> tuple[Floats, Floats]:
        plans = np.arange(len(self._levels))
        own = self._deviation[draws, None] ** 2
        cross = self._covariance(draws, plans, measured)
        cross[:, measured, np.arange(len(measured))] += own
        gain = cross @ inverse
        means = self._trend(draws, plans) + np.einsum("jpm,jm->jp", gain, residuals)
        prior = self._amplitude[draws, None] ** 2 + OFFSET_VARIANCE + own
        losses = sum(loss[self._levels[:, index]] ** 2 for index, loss in enumerate(self._losses))
        prior = prior + (SLOPE_DOUBT * self._slope[draws, None]) ** 2 * losses
        variances = prior - np.einsum("jpm,jpm->jp", gain, cross)
        return means, np.maximum(variances, JITTER)

    def _covariance(self, draws: Indices, left: Indices, right: Indices) -> Floats:
        smooth = np.ones((len(draws), len(left), len(right)))
        loss_product = np.zeros((len(left), len(right)))
        for index, (correlation, loss) in enumerate(zip(self._correlations, self._losses, strict=True)):
            rows, columns = self._levels[left, index], self._levels[right, index]
            smooth *= correlation[draws][:, rows[:, None], columns[None, :]]
            loss_product += np.outer(loss[rows], loss[columns])
        smooth *= self._amplitude[draws, None, None] ** 2
        smooth += (SLOPE_DOUBT * self._slope[draws, None, None]) ** 2 * loss_product + OFFSET_VARIANCE
        return smooth

    def _trend(self, draws: Indices, plans: Indices) -> Floats:
        losses = np.sum([loss[self._levels[plans, index]] for index, loss in enumerate(self._losses)], axis=0)
        return np.asarray(-self._slope[draws, None] * losses[None, :])


def _scaled(losses: Sequence[Floats]) -> list[Floats]:
    largest = float(np.mean([loss.max() for loss in losses]))
    return [loss / largest if largest > 0 else np.zeros(len(loss)) for loss in losses]


def _low_discrepancy(count: int, dimensions: int) -> Floats:
    """Points [count, dimensions] in (0, 1): the additive recurrence of Roberts (2018)."""
    root = 2.0
    for _ in range(32):
        root = (1.0 + root) ** (1.0 / (dimensions + 1))
    steps = root ** -np.arange(1.0, dimensions + 1)
    return np.asarray((0.5 + np.arange(1, count + 1)[:, None] * steps) % 1.0)


def _log_normal(prior: tuple[float, float], normal: Floats) -> Floats:
    return np.asarray(prior[0] * np.exp(prior[1] * normal))


def _matern(levels: int, lengths: Floats) -> Floats:
    """Matern 5/2 correlation between ranks in [0, 1]: [draws, levels, levels]."""
    ranks = np.arange(levels) / max(levels - 1, 1)
    scaled = np.sqrt(5.0) * np.abs(ranks[:, None] - ranks[None, :]) / lengths[:, None, None]
    return np.asarray((1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled))


def _scale(scores: NDArray[np.float64]) -> float:
    spread = float(scores.std())
    return spread if spread > 0 else max(abs(float(scores.mean())), 1.0)
