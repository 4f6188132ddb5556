"""Confidence sequences: intervals that hold at all times at once, however often one looks.

Source: Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
sequences", Annals of Statistics 49(2), 2021. For outcomes in [0, 1] with predictions m_i known beforehand,
Theorem 4 there bounds the mean by

    |sum(x_i) / n - mean| < u(V) / n  for all n at once, V = sum (x_i - m_i)^2,

where u is any uniform boundary for sub-exponential processes of scale c = 1, and `mean` is the average of
the outcomes' conditional means so far, so traffic may drift. Each side costs half of alpha.

The boundary is the gamma-exponential mixture (Proposition 9). exp(L s - psi(L) v), with
psi(L) = -log(1 - L) - L, is a supermartingale for each L in [0, 1); it stays one when averaged over L with a
density proportional to (1 - L)^(r-1) exp(-r (1 - L)). With u = 1 - L the average is

    M(s, v) = [r^r / (G(r) P(r, r))] exp(s + v) integral_0^1 u^(v+r-1) exp(-u (s + v + r)) du
            = [r^r / (G(r) P(r, r))] exp(s + v) G(v+r) P(v+r, s+v+r) / (s+v+r)^(v+r)

with Euler's gamma function G and the regularised lower incomplete gamma function P. By Ville's inequality
M reaches 1/alpha with probability at most alpha, so u(v) is the s at which M(s, v) = 1/alpha.

A difference of two arms' means lies between the differences of their bounds, each at alpha / 2: an arm's
outcomes do not enter the other arm's sequence, and the union bound does the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from server.experiments.moments import Moments

ALPHA = 0.05
# V at which the boundary is tightest: 250 answers of which a tenth fail, or 100 coin flips.
TIGHTEST_AT = 25.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval."""

    low: float
    high: float


def mean_interval(moments: Moments, alpha: float = ALPHA) -> Interval:
    """Where the mean of outcomes in [0, 1] lies, at all times at once with probability 1 - alpha."""
    if moments.count == 0:
        return Interval(0.0, 1.0)
    mean = moments.total / moments.count
    radius = boundary(moments.variance_sum, alpha / 2) / moments.count
    return Interval(max(0.0, mean - radius), min(1.0, mean + radius))


def difference_interval(arm: Moments, control: Moments, alpha: float = ALPHA) -> Interval:
    """Where the arm's mean minus control's lies, at all times at once with probability 1 - alpha."""
    one, other = mean_interval(arm, alpha / 2), mean_interval(control, alpha / 2)
    return Interval(one.low - other.high, one.high - other.low)


def boundary(variance_sum: float, alpha: float) -> float:
    """u(V): what the sum of deviations of a sub-exponential process of scale 1 ever exceeds with
    probability at most `alpha`, one-sided; found by bisection to a relative 1e-9.
    """
    rho = _rho(alpha)
    wanted = -math.log(alpha)
    high = 1.0
    while _log_mixture(high, variance_sum, rho) < wanted:
        high *= 2
    low = 0.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if _log_mixture(middle, variance_sum, rho) < wanted:
            low = middle
        else:
            high = middle
    return high


def _rho(alpha: float) -> float:
    """Parameter of the mixture that is tightest near `TIGHTEST_AT`, approximately (section 3.5)."""
    level = 2 * math.log(1 / alpha)
    return TIGHTEST_AT / (level + math.log(1 + level))


def _log_mixture(s: float, v: float, rho: float) -> float:
    # scipy takes a tenth of a second to import; the gateway's start does not wait for it.
    from scipy.special import gammainc

    shape, rate = v + rho, s + v + rho
    normaliser = rho * math.log(rho) - math.lgamma(rho) - math.log(gammainc(rho, rho))
    integral = math.lgamma(shape) + math.log(gammainc(shape, rate)) - shape * math.log(rate)
    return float(normaliser + s + v + integral)
