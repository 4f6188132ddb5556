"""Skill is measured on rows that the model has not seen."""

from bitloom.study.importance.forest import fit_forest, forest_r2, linear_r2
from bitloom.study.observations import Observations


def test_a_forest_has_skill_where_there_is_something_to_learn(grid: Observations) -> None:
    assert forest_r2(grid.values, grid.scores, trees=20, seed=0) > 0.8
    assert linear_r2(grid.values, grid.scores, seed=0) < 0.8


def test_noise_has_none_though_a_forest_fits_it(noise: Observations) -> None:
    forest = fit_forest(noise.values, noise.scores, trees=20, seed=0)
    assert forest.score(noise.values, noise.scores) > 0.5
    assert forest_r2(noise.values, noise.scores, trees=20, seed=0) < 0.1
    assert linear_r2(noise.values, noise.scores, seed=0) < 0.1


def test_a_line_is_linear(grid: Observations) -> None:
    assert linear_r2(grid.values, grid.values @ [1.0, 2.0, 3.0], seed=0) > 0.999
