"""Holm's correction against the closed testing procedure that it is a shortcut of."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_client.stats.multiple import holm


def closed_bonferroni(p_values: list[float]) -> list[float]:
    """For each hypothesis, the worst Bonferroni p-value of all intersections that hold it."""
    places = range(len(p_values))
    adjusted = [0.0] * len(p_values)
    for size in range(1, len(p_values) + 1):
        for chosen in combinations(places, size):
            together = min(1.0, size * min(p_values[place] for place in chosen))
            for place in chosen:
                adjusted[place] = max(adjusted[place], together)
    return adjusted


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_it_is_the_closed_bonferroni_procedure(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(closed_bonferroni(p_values))


def test_a_known_example() -> None:
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([]) == []
