"""Friedman's H against tables whose remainder is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.study.importance.forest import fit_forest
from bitloom.study.importance.interactions import pairwise, remainder_share
from bitloom.study.observations import Observations

NUMBERS = st.lists(st.integers(-9, 9), min_size=2, max_size=6)


@given(NUMBERS, NUMBERS)
def test_sums_have_no_interaction(rows: list[int], columns: list[int]) -> None:
    assert remainder_share(np.add.outer(np.array(rows, float), np.array(columns, float))) < 1e-12


def test_an_exclusive_or_is_all_interaction() -> None:
    assert remainder_share(np.array([[0.0, 1.0], [1.0, 0.0]])) == pytest.approx(1)


def test_a_product_of_switches_is_a_third_interaction() -> None:
    """0 0 / 0 1: total 12/16, remainder 4/16."""
    assert remainder_share(np.array([[0.0, 0.0], [0.0, 1.0]])) == pytest.approx(1 / 3)


def test_a_constant_table_has_none() -> None:
    assert remainder_share(np.full((3, 3), 7.1)) == 0


def test_the_pair_that_multiplies_comes_first(grid: Observations) -> None:
    found = pairwise(fit_forest(grid.values, grid.scores, trees=20, seed=0), grid, seed=0)
    assert len(found) == 3
    assert (found[0].first, found[0].second) == (0, 2)
    assert found[0].strength > 5 * found[-1].strength
    assert found[0].table.shape == (5, 5)
    assert found[0].table[0, 0] < found[0].table[-1, -1]
