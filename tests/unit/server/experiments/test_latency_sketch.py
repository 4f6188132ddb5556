"""Quantiles are right to 2 %, in bounded memory."""

from __future__ import annotations

import random
import statistics

import pytest

from server.experiments.latency_sketch import LatencySketch


def test_quantiles_are_right_to_two_percent() -> None:
    rng = random.Random(0)
    times = [rng.lognormvariate(-2, 1) for _ in range(5000)]
    sketch = LatencySketch()
    for each in times:
        sketch.add(each)
    exact = statistics.quantiles(times, n=100, method="inclusive")
    for percent in (1, 50, 90, 99):
        assert sketch.quantile(percent / 100) == pytest.approx(exact[percent - 1], rel=0.03)


def test_memory_is_bounded_whatever_comes() -> None:
    sketch = LatencySketch()
    for exponent in range(-400, 400):
        for mantissa in (1.0, 2.7, 5.1):
            sketch.add(mantissa * 10 ** (exponent / 20))
    sketch.add(0.0)
    assert len(sketch.buckets) <= 463
    assert 0 <= sketch.logs.total <= sketch.logs.count


def test_nothing_has_no_quantile() -> None:
    assert LatencySketch().quantile(0.5) is None
