"""Whether something happens as often as it should, over simulations with fixed seeds."""

from collections.abc import Callable, Sequence

import pytest
from scipy import stats

AtMost = Callable[[int, int, float], bool]
Uniform = Callable[[Sequence[float]], bool]


@pytest.fixture
def at_most() -> AtMost:
    """Whether `hits` of `trials` are no more than chance `rate` gives in 999 of 1000 cases."""
    return lambda hits, trials, rate: hits <= int(stats.binom.ppf(0.999, trials, rate))


@pytest.fixture
def uniform() -> Uniform:
    """Whether p-values pass for uniform ones: Kolmogorov and Smirnov at 1 %."""
    return lambda p_values: bool(stats.kstest(p_values, "uniform").pvalue > 0.01)
