"""The starting plans are the additive model's."""

import numpy as np

from bitloom.study.observations import Observations
from bitloom.study.search.design import additive_losses, front_plans, prior_losses, starting_plans
from bitloom.study.search.pool import Pool, pool_of


def test_prior_losses_weigh_the_noise_law_by_the_share_of_the_size(grid: Observations) -> None:
    losses = prior_losses(pool_of(grid))
    assert np.allclose([loss[0] for loss in losses], (0.3, 0.1, 0.6))
    assert [loss[-1] for loss in losses] == [0, 0, 0]


def test_the_first_plan_is_the_additive_optimum(grid: Observations) -> None:
    pool = pool_of(grid)
    allowed = np.flatnonzero(pool.sizes <= 4.0)
    losses = prior_losses(pool)
    plans = starting_plans(pool, allowed, losses, 4, np.random.default_rng(0))
    total = additive_losses(pool, losses)
    assert total[plans[0]] == total[allowed].min()
    assert pool.sizes[plans[1]] == pool.sizes.min()
    assert len(set(plans)) == 4
    assert set(plans) <= set(allowed.tolist())


def test_a_small_pool_gives_all_it_has(grid: Observations) -> None:
    pool = pool_of(grid)
    plans = starting_plans(pool, np.array([3, 5]), prior_losses(pool), 4, np.random.default_rng(0))
    assert sorted(plans) == [3, 5]


def test_features_that_are_no_bits_start_at_random() -> None:
    values = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    pool = Pool.of(["front", "end"], values, np.array([4.0, 3.0, 3.0, 2.0]))
    every = np.arange(4)
    firsts = {
        starting_plans(pool, every, prior_losses(pool), 1, np.random.default_rng(seed))[0]
        for seed in range(30)
    }
    assert firsts == {0, 1, 2, 3}


def test_plans_along_the_front_are_of_all_sizes_but_the_whole(grid: Observations) -> None:
    pool = pool_of(grid)
    losses = prior_losses(pool)
    plans = front_plans(pool, losses, 4)
    sizes = pool.sizes[plans]
    assert sizes[0] == pool.sizes.min()
    assert np.all(np.diff(sizes) > 0)
    assert sizes[-1] < pool.sizes.max()
    assert sizes[-1] > np.sqrt(pool.sizes.min() * pool.sizes.max())
    total = additive_losses(pool, losses)
    for plan in plans:
        assert total[plan] == total[pool.sizes <= pool.sizes[plan]].min()
