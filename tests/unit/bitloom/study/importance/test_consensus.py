"""The consensus against a truth that is known, and against exact Shapley values."""

from itertools import permutations

import numpy as np
import pytest

from bitloom.study.importance.consensus import _shap_values, bootstrap_intervals, consensus_of
from bitloom.study.importance.forest import fit_forest
from bitloom.study.observations import Observations


def test_each_view_sums_to_one_and_the_consensus_is_their_mean(grid: Observations) -> None:
    forest = fit_forest(grid.values, grid.scores, trees=20, seed=0)
    found = consensus_of(forest, grid.values, grid.scores, seed=0)
    for view in (found.shares, found.impurity, found.permutation, found.shap):
        assert view.sum() == pytest.approx(1)
        assert np.all(view >= 0)
    assert found.shares == pytest.approx((found.impurity + found.permutation + found.shap) / 3)
    assert found.shares[2] > found.shares[0] > found.shares[1]


def test_a_feature_that_alone_decides_has_everything(grid: Observations) -> None:
    scores = grid.values[:, 1] ** 2
    forest = fit_forest(grid.values, scores, trees=20, seed=0)
    assert consensus_of(forest, grid.values, scores, seed=0).shares[1] > 0.98


def test_shap_adds_up_to_the_prediction_and_is_fair(grid: Observations) -> None:
    """Equal weights on exchangeable features: each gets the same, and all sum to prediction - mean."""
    scores = np.sum(grid.values > 3, axis=1).astype(np.float64)
    forest = fit_forest(grid.values, scores, trees=30, seed=0)
    shap = _shap_values(forest, grid.values)
    base = forest.predict(grid.values) - shap.sum(axis=1)
    assert np.ptp(base) < 1e-6
    means = np.abs(shap).mean(axis=0)
    for first, second in permutations(means, 2):
        assert first == pytest.approx(second, rel=0.1)


def test_intervals_hold_the_estimate_and_are_narrow_where_all_is_clear(grid: Observations) -> None:
    forest = fit_forest(grid.values, grid.scores, trees=30, seed=0)
    shares = consensus_of(forest, grid.values, grid.scores, seed=0).shares
    low, high = bootstrap_intervals(grid.values, grid.scores, trees=10, resamples=12, seed=0)
    assert np.all(low <= high)
    assert np.all(shares > low - 0.05)
    assert np.all(shares < high + 0.05)
    assert np.all(high - low < 0.3)
