"""The intervals hold at all times at once: proven by simulation, and useful: they exclude what is far."""

from __future__ import annotations

import math
import random

import pytest

from server.experiments.confidence import boundary, difference_interval, mean_interval
from server.experiments.moments import Moments

LOOKS = (1, 2, 3, 5, 10, 20, 40, 80, 160, 320, 640)
RUNS = 300


def drawn(rng: random.Random, kind: str) -> float:
    if kind == "rare":
        return float(rng.random() < 0.02)
    if kind == "even":
        return float(rng.random() < 0.5)
    return rng.betavariate(2, 5)


MEANS = {"rare": 0.02, "even": 0.5, "beta": 2 / 7}


@pytest.mark.parametrize("kind", sorted(MEANS))
def test_the_mean_is_inside_at_every_look(kind: str) -> None:
    rng = random.Random(0)
    missed = 0
    for _ in range(RUNS):
        moments = Moments()
        for count in range(1, LOOKS[-1] + 1):
            moments.add(drawn(rng, kind))
            if count in LOOKS:
                interval = mean_interval(moments, 0.1)
                if not interval.low <= MEANS[kind] <= interval.high:
                    missed += 1
                    break
    # At most a tenth may miss; four standard deviations of a binomial above it.
    assert missed <= RUNS * 0.1 + 4 * math.sqrt(RUNS * 0.09)


def test_the_boundary_is_nearly_used_up() -> None:
    """A random walk crosses it sometimes: a boundary that nothing crosses would be too wide to be of use."""
    rng = random.Random(1)
    alpha, crossed, runs = 0.2, 0, 400
    levels = [boundary(count / 4, alpha) for count in range(1, 401)]
    for _ in range(runs):
        walk = 0.0
        for level in levels:
            walk += 0.5 if rng.random() < 0.5 else -0.5
            if walk >= level:
                crossed += 1
                break
    assert 0.02 * runs < crossed < alpha * runs + 4 * math.sqrt(runs * alpha * (1 - alpha))


def test_the_difference_is_inside_at_every_look_and_a_large_one_is_found() -> None:
    rng = random.Random(2)
    missed = 0
    for _ in range(100):
        arm, control = Moments(), Moments()
        for count in range(1, 641):
            arm.add(float(rng.random() < 0.3))
            control.add(float(rng.random() < 0.1))
            if count in LOOKS:
                interval = difference_interval(arm, control, 0.05)
                missed += not interval.low <= 0.2 <= interval.high
        assert interval.low > 0  # 0.2 apart with 640 answers each is no chance
    assert missed <= 100 * 0.05


def test_nothing_is_known_of_nothing() -> None:
    interval = mean_interval(Moments())
    assert (interval.low, interval.high) == (0.0, 1.0)
    assert Moments().mean is None


def test_the_boundary_grows_with_time_and_certainty() -> None:
    assert boundary(100, 0.05) > boundary(10, 0.05) > boundary(0, 0.05) > 0
    assert boundary(10, 0.01) > boundary(10, 0.05)
    # Never below the bound of a fixed sample size, and within twice of it near where it is tightest.
    fixed = math.sqrt(2 * 25 * math.log(1 / 0.025))
    assert fixed < boundary(25, 0.025) < 2 * fixed


def test_the_mixture_is_the_average_it_is_derived_from() -> None:
    """Numerical integration over L, at the boundary: the average is 1/alpha there."""
    alpha, v = 0.05, 7.0
    level = 2 * math.log(1 / alpha)
    rho = 25.0 / (level + math.log(1 + level))
    s = boundary(v, alpha)
    steps = 20_000
    points = [(i + 0.5) / steps for i in range(steps)]
    density = [(1 - x) ** (rho - 1) * math.exp(-rho * (1 - x)) for x in points]
    values = [math.exp(x * s - (-math.log(1 - x) - x) * v) for x in points]
    average = sum(d * y for d, y in zip(density, values, strict=True)) / sum(density)
    assert average == pytest.approx(1 / alpha, rel=1e-3)
