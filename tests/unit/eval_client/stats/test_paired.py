"""Differences of runs: bootstrap p-values, equivalence, and power, checked by simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from eval_client.stats import Array
from eval_client.stats.paired import PairedDraws, PairedTerms, draw_pairs, mean_terms
from eval_client.stats.power import detectable_difference, least_share
from eval_client.stats.sign_flip import exact_whole, permutation

if TYPE_CHECKING:
    from tests.unit.eval_client.stats.conftest import AtMost, Uniform

PAIRS, IMAGES, RESAMPLES = 200, 150, 400


def draws(differences: Array, seed: int = 0, resamples: int = RESAMPLES) -> PairedDraws:
    """Of one sample an image whose score is between 0 and 1."""
    nothing, weights = np.zeros(len(differences)), np.ones(len(differences))
    return draw_pairs(mean_terms(nothing, differences, weights, 1.0), seed=seed, resamples=resamples)


def binary(rng: np.random.Generator, gained: float, lost: float, images: int = IMAGES) -> Array:
    """Differences of 0/1 scores: the shares of images that B gained and lost."""
    chance = rng.random(images)
    return (chance < gained).astype(float) - (chance > 1 - lost)


def ratio_terms(rng: np.random.Generator) -> PairedTerms:
    """As BLEU is: a function of sums, matches over words, of captions whose lengths vary."""
    words = rng.integers(5, 25, IMAGES)
    matches = rng.binomial(words[:, None], rng.beta(4, 3, (IMAGES, 1)), (IMAGES, 2))
    sums = np.column_stack([matches, words]).astype(float)
    a, b, size = sums.mean(axis=0)
    return PairedTerms(
        sums,
        a_lost=np.array([0.0, b, size]),
        b_lost=np.array([a, 0.0, size]),
        difference=lambda drawn: (drawn[:, 1] / drawn[:, 2]) ** 0.25 - (drawn[:, 0] / drawn[:, 2]) ** 0.25,
        differing=IMAGES,
    )


def test_bootstrap_p_values_of_equal_runs_are_uniform(uniform: Uniform, at_most: AtMost) -> None:
    rng = np.random.default_rng(5)
    p_values = [draw_pairs(ratio_terms(rng), seed=k, resamples=RESAMPLES).bootstrap_p for k in range(PAIRS)]
    assert uniform(p_values)
    assert at_most(sum(p <= 0.05 for p in p_values), PAIRS, 0.05)


@pytest.mark.parametrize("regime", ["rare", "common", "spread", "skewed"])
def test_equivalence_is_claimed_at_the_margin_in_5_percent_at_most(regime: str, at_most: AtMost) -> None:
    margin = {"rare": 0.04, "common": 0.1, "spread": 0.1, "skewed": 0.05}[regime]
    rng = np.random.default_rng(7)
    claimed = 0
    for seed in range(2 * PAIRS):
        differences = {
            "rare": lambda: binary(rng, 0.0, margin),
            "common": lambda: binary(rng, 0.2, 0.2 + margin),
            "spread": lambda: rng.normal(margin, 0.6, IMAGES),
            "skewed": lambda: margin * rng.exponential(1.0, IMAGES),
        }[regime]()
        claimed += draws(differences, seed).equivalence_p(margin) <= 0.05
    assert at_most(claimed, 2 * PAIRS, 0.05)


def test_equal_runs_are_found_equivalent() -> None:
    rng = np.random.default_rng(8)
    found = [draws(binary(rng, 0.02, 0.02, 1000), seed).equivalence_p(0.03) <= 0.05 for seed in range(50)]
    assert sum(found) >= 48


@pytest.mark.parametrize(("kind", "scale"), [("0/1", 1.0), ("soft", 0.5)])
def test_power_is_what_the_detectable_difference_says(kind: str, scale: float) -> None:
    rng = np.random.default_rng(9)
    images, share = 400, 0.2
    standard_error = {"0/1": np.sqrt(share / images), "soft": 0.8 * scale / np.sqrt(images)}[kind]
    wanted = detectable_difference(float(standard_error), images, scale)
    found = 0
    for seed in range(2 * PAIRS):
        if kind == "0/1":
            differences = binary(rng, (share + wanted) / 2, (share - wanted) / 2, images)
            found += exact_whole(differences).value <= 0.05
        else:
            differences = rng.normal(wanted, 0.8 * scale, images)
            found += permutation(differences, seed=seed, flips=499).value <= 0.05
    assert found / (2 * PAIRS) == pytest.approx(0.8, abs=0.06)


def test_the_detectable_difference_comes_from_the_draws() -> None:
    differences = np.random.default_rng(1).normal(0.0, 1.0, 300)
    expected = detectable_difference(differences.std(ddof=1) / np.sqrt(300), 300, 1.0)
    assert draws(differences, resamples=4000).detectable == pytest.approx(expected, rel=0.05)


def test_few_differing_images_are_never_significant() -> None:
    share = least_share(200)
    assert stats.binom.sf(5, 200, share) == pytest.approx(0.8)
    assert exact_whole(np.ones(5)).value > 0.05 >= exact_whole(np.ones(6)).value
    assert least_share(4) == 1.0
    assert draws(np.zeros(200)).detectable == pytest.approx(share)


@pytest.mark.parametrize("gained", [0, 1, 4])
def test_bounds_of_rare_differences_are_about_the_exact_binomial_ones(gained: int) -> None:
    differences = np.zeros(200)
    differences[:gained] = 1.0
    shown = draws(differences, resamples=4000).shown_margin
    exact = float(stats.beta.ppf(0.95, gained + 1, 200 - gained))
    assert shown == pytest.approx(exact, rel=0.12)


def test_no_difference_on_few_images_shows_little() -> None:
    few, many = draws(np.zeros(20)), draws(np.zeros(600))
    assert few.interval[0] < -0.1 < 0.1 < few.interval[1]
    assert few.equivalence_p(0.02) > 0.05
    assert many.equivalence_p(0.02) < 0.01
    assert few.bootstrap_p == many.bootstrap_p == 1.0


def test_the_interval_is_about_the_normal_one_and_mirrors() -> None:
    differences = np.random.default_rng(2).normal(0.1, 0.5, 500)
    low, high = draws(differences, resamples=4000).interval
    half = 1.96 * differences.std() / np.sqrt(500)
    assert low == pytest.approx(differences.mean() - half, abs=0.006)
    assert high == pytest.approx(differences.mean() + half, abs=0.006)
    mirrored = draws(-differences, resamples=4000).interval
    assert mirrored == pytest.approx((-high, -low), abs=0.006)


@pytest.mark.parametrize("regime", ["spread", "skewed", "common"])
def test_intervals_hold_the_truth_as_often_as_they_say(regime: str, at_most: AtMost) -> None:
    rng = np.random.default_rng(11)
    missed = 0
    for seed in range(PAIRS):
        differences = {
            "spread": lambda: rng.normal(-0.1, 0.6, IMAGES),
            "skewed": lambda: -0.1 * rng.exponential(1.0, IMAGES),
            "common": lambda: binary(rng, 0.1, 0.2),
        }[regime]()
        low, high = draws(differences, seed).interval
        missed += not low <= -0.1 <= high
    assert at_most(missed, PAIRS, 0.05)
    assert missed > 0


def test_a_score_without_a_bound_does_not_widen_its_interval() -> None:
    differences = np.random.default_rng(3).normal(-0.13, 0.45, 100)
    nothing, weights = np.zeros(100), np.ones(100)
    by_scale = [
        draw_pairs(mean_terms(nothing, differences, weights, scale), seed=0, resamples=4000)
        for scale in (0.5, 5.0)
    ]
    assert by_scale[0].interval == by_scale[1].interval
    low, high = by_scale[1].interval
    assert high - low == pytest.approx(2 * 1.984 * differences.std() / 10, rel=0.06)
    assert high < 0
    assert permutation(differences, seed=0).value < 0.05
    assert by_scale[1].shown_margin > by_scale[0].shown_margin
    assert by_scale[0].detectable == by_scale[1].detectable < 0.15


@pytest.mark.parametrize(("size", "count"), [(1.0, 10), (0.7, 6)])
def test_what_hardly_an_image_shows_is_bounded_with_one_more(size: float, count: int) -> None:
    few, enough = np.zeros(200), np.zeros(200)
    few[: count - 1] = enough[:count] = size
    seen, rare = draws(enough), draws(few)
    plain = np.quantile(rare.plain, [0.025, 0.975])
    assert rare.interval[0] < plain[0] - 0.3 / 200
    assert rare.interval[1] > plain[1] + 0.3 / 200
    assert seen.interval == pytest.approx(np.quantile(seen.plain, [0.025, 0.975]), abs=0.003)
