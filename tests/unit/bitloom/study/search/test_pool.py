"""Pools hold values, ranks and sizes of the same plans."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.study.observations import Observations
from bitloom.study.search.pool import Pool, noise_law, pool_of


def test_a_pool_ranks_its_values(grid: Observations) -> None:
    pool = pool_of(grid)
    assert len(pool) == 125
    assert pool.level_values(0).tolist() == [2, 3, 4, 6, 8]
    index = int(np.flatnonzero((grid.values == (4, 2, 8)).all(axis=1))[0])
    assert pool.levels[index].tolist() == [2, 0, 4]
    assert pool.point(index).values == {"vision": 4, "connector": 2, "language": 8}
    assert pool.point(index).size == pytest.approx(0.3 * 4 + 0.1 * 2 + 0.6 * 8)


def test_values_and_sizes_must_fit() -> None:
    with pytest.raises(ValueError, match="2 features"):
        Pool.of(["a", "b"], np.zeros((3, 1)), np.zeros(3))


def test_observations_without_sizes_are_no_pool() -> None:
    bare = Observations(("a",), "s", np.array([[2.0], [3.0]]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="size column"):
        pool_of(bare)


@given(st.sets(st.integers(2, 16), min_size=2))
def test_the_noise_law_falls_from_one_to_zero(bits: set[int]) -> None:
    law = noise_law(np.array(sorted(bits), dtype=np.float64))
    assert law[0] == 1
    assert law[-1] == 0
    assert np.all(np.diff(law) < 0)


def test_a_bit_divides_the_loss_by_four() -> None:
    law = noise_law(np.array([2.0, 3.0, 4.0, 16.0]))
    assert (law[0] - law[1]) / (law[1] - law[2]) == pytest.approx(4)


@pytest.mark.parametrize("values", [[0.0, 1.0], [2.0, 32.0], [2.5, 4.0], [4.0]])
def test_nothing_is_assumed_of_what_is_no_bits(values: list[float]) -> None:
    assert not noise_law(np.array(values)).any()
