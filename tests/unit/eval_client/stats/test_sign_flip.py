"""Tests of paired differences: right by references, and uniform where there is nothing to find."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eval_client.stats.sign_flip import exact_whole, permutation

if TYPE_CHECKING:
    from tests.unit.eval_client.stats.conftest import AtMost, Uniform

PAIRS = 200


def brute_force(differences: list[float]) -> float:
    observed = abs(sum(differences))
    outcomes = [
        abs(sum(sign * each for sign, each in zip(signs, differences, strict=True)))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    return sum(outcome >= observed - 1e-9 for outcome in outcomes) / len(outcomes)


@given(st.integers(0, 60), st.integers(0, 60))
def test_one_sample_an_image_is_the_exact_mcnemar_test(gained: int, lost: int) -> None:
    differences = np.array([1.0] * gained + [-1.0] * lost + [0.0] * 9)
    expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert exact_whole(differences).value == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_clusters_are_flipped_as_a_whole(differences: list[int]) -> None:
    expected = brute_force([float(each) for each in differences])
    assert exact_whole(np.array(differences, dtype=float)).value == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(-1, 1, width=16), min_size=1, max_size=9))
def test_few_differences_are_flipped_in_all_ways(differences: list[float]) -> None:
    assert permutation(np.array(differences), seed=0).value == pytest.approx(brute_force(differences))


def test_many_differences_are_flipped_as_scipy_does() -> None:
    differences = np.random.default_rng(0).normal(0.15, 1.0, 150)
    expected = stats.permutation_test(
        (differences,),
        lambda each, axis: each.mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(1),
    )
    assert permutation(differences, seed=2).value == pytest.approx(expected.pvalue, abs=0.012)


def test_nothing_that_differs_is_no_evidence() -> None:
    assert exact_whole(np.zeros(5)).value == 1.0
    assert permutation(np.zeros(5), seed=0).value == 1.0


def test_a_difference_everywhere_is_evidence() -> None:
    assert exact_whole(np.ones(40)).value == pytest.approx(2 * 0.5**40)
    assert permutation(np.full(40, 0.3), seed=0, flips=999).value == 0.001


def test_permutation_p_values_of_equal_runs_are_uniform(uniform: Uniform, at_most: AtMost) -> None:
    rng = np.random.default_rng(3)
    skewed = rng.exponential(1.0, (PAIRS, 120, 2))
    changed = rng.random((PAIRS, 120)) < 0.4
    differences = np.where(changed, skewed[..., 1] - skewed[..., 0], 0.0)
    p_values = [permutation(each, seed=seed, flips=999).value for seed, each in enumerate(differences)]
    assert uniform(p_values)
    assert at_most(sum(p <= 0.05 for p in p_values), PAIRS, 0.05)


@pytest.mark.parametrize("questions", [1, 5])
def test_exact_p_values_of_equal_runs_are_uniform_between_their_steps(
    questions: int, uniform: Uniform, at_most: AtMost
) -> None:
    rng = np.random.default_rng(questions)
    right = rng.random((PAIRS, 150, questions, 2)) < rng.beta(2, 1, (PAIRS, 150, 1, 1))
    differences = (right[..., 1].astype(float) - right[..., 0]).sum(axis=-1)
    found = [exact_whole(each) for each in differences]
    between = rng.random(PAIRS)
    randomized = [p.value - p.equal * part for p, part in zip(found, between, strict=True)]
    assert uniform(randomized)
    assert at_most(sum(p.value <= 0.05 for p in found), PAIRS, 0.05)


def test_taking_questions_for_images_would_find_what_is_not_there(at_most: AtMost) -> None:
    """The test of the test: images whose five questions stand or fall together, taken one by one."""
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random((PAIRS, 60, 2)) < 0.7, 5, axis=1).astype(float)
    differences = right[..., 1] - right[..., 0]
    alarms = sum(exact_whole(each).value <= 0.05 for each in differences)
    assert not at_most(alarms, PAIRS, 0.05)
    clustered = differences.reshape(PAIRS, 60, 5).sum(axis=2)
    assert at_most(sum(exact_whole(each).value <= 0.05 for each in clustered), PAIRS, 0.05)
