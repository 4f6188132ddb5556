"""Pools of small spaces are whole; those of large ones hold what can be best."""

import numpy as np
import pytest

from bitloom.study.search.goal import UnderBudget
from bitloom.study.search.knapsack import solve
from bitloom.study.search.loop import search
from bitloom.study.search.oracle import Measurement
from bitloom.study.search.pool import Point, noise_law
from bitloom.study.search.space import Space, draw_pool

BITS = np.array([2.0, 3, 4, 5, 6, 8, 16])


def space(groups: int) -> Space:
    generator = np.random.default_rng(groups)
    weights = generator.dirichlet(np.full(groups, 3.0))
    harm = generator.dirichlet(np.full(groups, 3.0))
    return Space(
        tuple(f"g{index}" for index in range(groups)),
        [BITS] * groups,
        [weight * BITS for weight in weights],
        [each * noise_law(BITS) for each in harm],
    )


class AdditiveOracle:
    """A large space whose truth is additive, with other sensitivities than the search was told."""

    def __init__(self, told: Space) -> None:
        factors = np.exp(0.5 * np.random.default_rng(5).standard_normal(len(told.features)))
        self.losses = [loss * factor for loss, factor in zip(told.losses, factors, strict=True)]

    def evaluate(self, point: Point) -> Measurement:
        levels = [int(np.flatnonzero(value == BITS)[0]) for value in point.values.values()]
        return Measurement(-sum(float(loss[level]) for loss, level in zip(self.losses, levels, strict=True)))


def test_a_small_space_is_listed() -> None:
    pool = draw_pool(space(3))
    assert len(pool) == 343
    assert pool.sizes.max() == pytest.approx(16)


def test_a_large_space_gives_a_pool_over_all_sizes() -> None:
    large = space(12)
    assert large.plans == 7**12
    pool = draw_pool(large, count=1500, seed=1)
    assert 1500 <= len(pool) <= 2200
    assert len(np.unique(pool.levels, axis=0)) == len(pool)
    assert pool.sizes.min() < 3
    assert pool.sizes.max() > 8


def test_a_known_budget_draws_plans_just_below_it() -> None:
    pool = draw_pool(space(12), count=600, seed=1, limit=4.0)
    assert np.mean((pool.sizes > 3.0) & (pool.sizes < 5.0)) > 0.8
    assert np.sum(pool.sizes <= 4.0) > 150
    assert pool.sizes.min() == pytest.approx(2.0)


def test_the_additive_front_is_in_every_pool() -> None:
    """So the front that a search reports has plans of all sizes, also where the budget is known."""
    large = space(12)
    front, pool = solve(large.losses, large.sizes), draw_pool(large, count=600, seed=1, limit=4.0)
    known = {tuple(levels) for levels in pool.levels.tolist()}
    on_front = [
        float(size)
        for size, levels in zip(front.sizes, front.levels.tolist(), strict=True)
        if tuple(levels) in known
    ]
    assert len(on_front) >= 40
    assert max(np.diff(np.log2(sorted(on_front)))) < 0.2


def test_uniform_points_are_sorted_by_size() -> None:
    points = space(3).uniform_points()
    assert [set(point.values.values()) for point in points] == [{bits} for bits in BITS.tolist()]
    assert [point.size for point in points] == pytest.approx(BITS.tolist())


def test_a_large_space_is_searched_to_near_its_optimum() -> None:
    large = space(12)
    oracle, budget = AdditiveOracle(large), 4.0
    pool = draw_pool(large, count=1500, seed=1, limit=budget)
    outcome = search(oracle, pool, UnderBudget(budget), lookups=30, losses=large.losses)
    front = solve(oracle.losses, large.sizes)
    optimum = -front.losses[np.searchsorted(front.sizes, budget, side="right") - 1]
    uniform = oracle.evaluate(Point(dict.fromkeys(large.features, 4.0), 4.0)).score
    assert uniform < outcome.best.measurement.score <= optimum + 1e-9
