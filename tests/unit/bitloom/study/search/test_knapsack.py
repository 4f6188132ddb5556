"""The knapsack against trying everything."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.study.search.knapsack import solve

NUMBER = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3))
TABLE = st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=4)


@given(st.lists(TABLE, min_size=1, max_size=5), st.floats(0, 400))
def test_it_finds_what_brute_force_finds(tables: list[list[tuple[float, float]]], budget: float) -> None:
    losses = [np.array([loss for loss, _ in table]) for table in tables]
    sizes = [np.array([size for _, size in table]) for table in tables]
    fitting = [
        sum(choice[0] for choice in choices)
        for choices in product(*tables)
        if sum(choice[1] for choice in choices) <= budget
    ]
    levels = solve(losses, sizes).under(budget)
    if not fitting:
        assert levels is None
        return
    assert levels is not None
    found = sum(loss[level] for loss, level in zip(losses, levels, strict=True))
    size = sum(each[level] for each, level in zip(sizes, levels, strict=True))
    assert size <= budget
    assert found == pytest.approx(min(fitting))


def test_larger_choices_on_the_front_are_better() -> None:
    generator = np.random.default_rng(0)
    front = solve([generator.random(7) for _ in range(12)], [generator.random(7) for _ in range(12)])
    assert np.all(np.diff(front.sizes) >= 0)
    assert np.all(np.diff(front.losses) < 0)
    assert front.levels.shape == (len(front.sizes), 12)


def test_tables_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="as many sizes as losses"):
        solve([np.zeros(2)], [np.zeros(3)])
