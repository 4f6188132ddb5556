"""What the surrogate believes: measured plans exactly, others with honest doubt."""

import numpy as np
import pytest

from bitloom.study.observations import Observations
from bitloom.study.search.design import prior_losses
from bitloom.study.search.pool import pool_of
from bitloom.study.search.surrogate import Belief, Surrogate


def surrogate_of(grid: Observations) -> Surrogate:
    pool = pool_of(grid)
    return Surrogate(pool, prior_losses(pool))


def learn(grid: Observations, count: int, *, error: float = 0.0) -> tuple[Belief, np.ndarray]:
    measured = np.random.default_rng(1).permutation(len(grid))[:count]
    belief = surrogate_of(grid).learn(measured, grid.scores[measured], np.full(count, error))
    return belief, measured


def test_measured_plans_are_believed_exactly(grid: Observations) -> None:
    belief, measured = learn(grid, 12)
    assert belief.mean[measured] == pytest.approx(grid.scores[measured], abs=0.1)
    assert belief.deviation[measured].max() < 0.1
    rest = np.setdiff1d(np.arange(len(grid)), measured)
    assert belief.deviation[rest].min() > 0.1


def test_a_standard_error_leaves_doubt(grid: Observations) -> None:
    exact, measured = learn(grid, 12)
    doubtful, _ = learn(grid, 12, error=10.0)
    assert np.all(doubtful.deviation[measured] > 1.0)
    assert np.all(exact.deviation[measured] < doubtful.deviation[measured])


def test_predictions_beat_the_mean_and_their_intervals_hold(grid: Observations) -> None:
    belief, measured = learn(grid, 30)
    rest = np.setdiff1d(np.arange(len(grid)), measured)
    errors = grid.scores[rest] - belief.mean[rest]
    naive = grid.scores[rest] - grid.scores[measured].mean()
    assert np.mean(errors**2) < 0.1 * np.mean(naive**2)
    assert np.mean(np.abs(errors) <= 1.96 * belief.deviation[rest]) > 0.85


def test_more_bits_are_believed_better_before_much_is_known(grid: Observations) -> None:
    middle = int(np.flatnonzero((grid.values == (4, 4, 4)).all(axis=1))[0])
    near = int(np.flatnonzero((grid.values == (4, 4, 3)).all(axis=1))[0])
    pair = np.array([middle, near])
    belief = surrogate_of(grid).learn(pair, grid.scores[pair], np.zeros(2))
    assert grid.sizes is not None
    assert belief.mean[-1] > belief.mean[0]  # the grid runs from the smallest plan to the largest


def test_units_of_the_score_change_nothing(grid: Observations) -> None:
    measured = np.arange(0, 125, 9)
    surrogate, zeros = surrogate_of(grid), np.zeros(len(measured))
    plain = surrogate.learn(measured, grid.scores[measured], zeros)
    scaled = surrogate.learn(measured, 0.01 * grid.scores[measured] + 5, zeros)
    assert scaled.mean == pytest.approx(0.01 * plain.mean + 5, abs=1e-6)


def test_equal_scores_are_no_division_by_zero(grid: Observations) -> None:
    belief = surrogate_of(grid).learn(np.array([0, 5]), np.array([3.0, 3.0]), np.zeros(2))
    assert np.isfinite(belief.mean).all()
    assert np.isfinite(belief.expected_improvement(3.0)).all()


def test_expected_improvement_of_a_normal_is_the_textbooks() -> None:
    belief = Belief(np.array([1.0]), np.array([[0.0, 1.0]]), np.array([[1.0, 1e-9]]))
    assert belief.expected_improvement(0.0) == pytest.approx([1 / np.sqrt(2 * np.pi), 1.0])
    assert belief.chance_above(0.0) == pytest.approx([0.5, 1.0])


def test_a_mixtures_deviation_holds_the_spread_between_draws() -> None:
    belief = Belief(np.array([0.5, 0.5]), np.array([[-1.0], [1.0]]), np.zeros((2, 1)))
    assert belief.mean == pytest.approx([0.0])
    assert belief.deviation == pytest.approx([1.0])
