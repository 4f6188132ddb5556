"""Fronts and prediction errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.study.search.loop import Lookup
from bitloom.study.search.oracle import Measurement
from bitloom.study.search.report import accuracy_of, pareto

PLANS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30)


@given(PLANS)
def test_the_front_is_what_nothing_dominates(plans: list[tuple[int, int]]) -> None:
    sizes = np.array([size for size, _ in plans], dtype=np.float64)
    scores = np.array([score for _, score in plans], dtype=np.float64)
    front = pareto(sizes, scores)
    found = {(sizes[index], scores[index]) for index in front}
    expected = {
        (size, score)
        for size, score in plans
        if not any(s <= size and q >= score and (s, q) != (size, score) for s, q in plans)
    }
    assert found == expected
    assert np.all(np.diff(sizes[front]) > 0)


def test_accuracy_counts_predictions_only() -> None:
    lookups = [
        Lookup(0, Measurement(9.0), None, None),
        Lookup(1, Measurement(5.0), 4.0, 1.0),
        Lookup(2, Measurement(1.0), 4.0, 1.0),
    ]
    found = accuracy_of(lookups)
    assert found is not None
    assert (found.count, found.mean_error, found.mean_absolute_error, found.within_95) == (2, -1.0, 2.0, 0.5)
    assert accuracy_of(lookups[:1]) is None


def test_a_measurements_own_error_widens_the_interval() -> None:
    found = accuracy_of([Lookup(0, Measurement(7.0, standard_error=1.5), 4.0, 1.0)])
    assert found is not None
    assert found.within_95 == pytest.approx(1.0)
