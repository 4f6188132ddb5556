"""What counts as best, and when nothing else can be better."""

import numpy as np
import pytest

from bitloom.errors import InputError
from bitloom.study.observations import Observations
from bitloom.study.search.goal import AboveFloor, UnderBudget
from bitloom.study.search.pool import Pool, pool_of
from bitloom.study.search.surrogate import Belief

POOL = Pool.of(["bits"], np.array([[2.0], [3.0], [4.0], [8.0]]), np.array([2.0, 3.0, 4.0, 8.0]))


def belief(means: list[float], deviation: float) -> Belief:
    return Belief(np.ones(1), np.array([means]), np.full((1, len(means)), deviation))


@pytest.mark.parametrize(
    ("limit", "message"), [(1.0, "below the smallest plan"), (20.0, "above the largest")]
)
def test_a_budget_outside_the_pool_is_refused(grid: Observations, limit: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        UnderBudget(limit).allowed(pool_of(grid))


def test_a_budget_allows_what_fits_exactly() -> None:
    assert UnderBudget(3.0).allowed(POOL).tolist() == [True, True, False, False]


def test_the_best_under_a_budget_is_the_smaller_of_equals() -> None:
    assert UnderBudget(8.0).best(POOL, np.array([3, 0, 2]), np.array([1.0, 0.5, 1.0])) == 2


def test_the_best_above_a_floor_is_the_smallest_that_reaches_it() -> None:
    goal = AboveFloor(0.9)
    assert goal.best(POOL, np.array([3, 1, 2]), np.array([1.0, 0.8, 0.95])) == 2
    assert goal.best(POOL, np.array([0, 1]), np.array([0.1, 0.8])) == 1


def test_a_floor_gains_the_size_saved_where_it_is_reached() -> None:
    gain = AboveFloor(0.9).gain(POOL, belief([0.0, 0.9, 1.0, 1.0], 1e-9), 3)
    assert gain == pytest.approx([0.0, 2.5, 4.0, 0.0])


@pytest.mark.parametrize(("deviation", "excluded"), [(0.01, True), (0.5, False)])
def test_intervals_exclude_the_rest_or_do_not(deviation: float, excluded: bool) -> None:
    rest = np.array([0, 1])
    assert UnderBudget(4.0).excludes(POOL, belief([0.1, 0.2, 0.9, 1.0], deviation), 2, rest) is excluded
    assert AboveFloor(0.85).excludes(POOL, belief([0.1, 0.2, 0.9, 1.0], deviation), 2, rest) is excluded


def test_larger_plans_do_not_keep_a_floor_search_going() -> None:
    assert AboveFloor(0.85).excludes(POOL, belief([0.1, 0.2, 0.9, 1.0], 0.01), 2, np.array([0, 1, 3]))
