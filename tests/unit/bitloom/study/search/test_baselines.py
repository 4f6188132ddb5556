"""Baselines keep to the rules that the search keeps to."""

import numpy as np

from bitloom.study.observations import Observations
from bitloom.study.search.baselines import additive_refit, one_at_a_time, random_search
from bitloom.study.search.goal import UnderBudget
from bitloom.study.search.oracle import GridOracle
from bitloom.study.search.pool import pool_of

GOAL = UnderBudget(5.0)


def test_each_looks_up_as_often_as_it_may_and_never_twice(grid: Observations) -> None:
    pool, oracle = pool_of(grid), GridOracle(grid)
    for order in (
        random_search(pool, GOAL, lookups=20, seed=0),
        one_at_a_time(oracle, pool, GOAL, lookups=20),
        additive_refit(oracle, pool, GOAL, lookups=20, seed=0),
    ):
        assert len(order) == len(set(order)) == 20


def test_chance_and_the_refit_stay_under_the_budget(grid: Observations) -> None:
    pool = pool_of(grid)
    for order in (
        random_search(pool, GOAL, lookups=20, seed=0),
        additive_refit(GridOracle(grid), pool, GOAL, lookups=20, seed=0),
    ):
        assert np.all(pool.sizes[order] <= 5.0)


def test_one_at_a_time_solves_an_additive_grid(grid: Observations) -> None:
    additive = grid.values @ np.array([2.0, 1.0, 3.0])
    exact = Observations(grid.features, "score", grid.values, additive, grid.sizes)
    pool = pool_of(exact)
    order = one_at_a_time(GridOracle(exact), pool, GOAL, lookups=20)
    assert order[0] == int(np.argmax(pool.sizes))
    best = additive[pool.sizes <= 5.0].max()
    assert max(additive[index] for index in order if pool.sizes[index] <= 5.0) == best
