"""The clustered bootstrap: it covers what it should, and sees clusters."""

import numpy as np
import pytest

from eval_client.stats import interval, mean_interval, share_interval
from eval_client.stats.bootstrap import expanded_tail, tail_of_share


def test_the_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    found = mean_interval(values.tolist(), [str(i) for i in range(400)], seed=1)
    assert found is not None
    half = 1.96 * values.std() / 20
    assert found[0] == pytest.approx(values.mean() - half, abs=0.03)
    assert found[1] == pytest.approx(values.mean() + half, abs=0.03)


def test_samples_of_one_image_count_as_one() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(0, 1, 50), 10)
    images = np.repeat(np.arange(50), 10).astype(str).tolist()
    clustered = mean_interval(values.tolist(), images, seed=1)
    alone = mean_interval(values.tolist(), [str(i) for i in range(500)], seed=1)
    assert clustered is not None
    assert alone is not None
    assert (clustered[1] - clustered[0]) / (alone[1] - alone[0]) == pytest.approx(np.sqrt(10), rel=0.15)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    hits = 0
    for seed in range(200):
        values = np.random.default_rng(seed).binomial(1, 0.8, 80)
        found = mean_interval(values.tolist(), [str(i) for i in range(80)], seed=seed, resamples=400)
        assert found is not None
        hits += found[0] <= 0.8 <= found[1]
    assert 178 <= hits <= 199


def test_all_right_is_not_certainly_right() -> None:
    images = [str(i) for i in range(30)]
    low, high = share_interval([1.0] * 30, images, seed=0) or (None, None)
    assert high == 1.0
    assert low == pytest.approx(0.8843, abs=1e-4)  # Clopper-Pearson of 30 out of 30
    low, high = share_interval([0.0] * 30, images, seed=0) or (None, None)
    assert low == 0.0
    assert high == pytest.approx(0.1157, abs=1e-4)
    mixed = [0.0, 1.0] * 15
    assert share_interval(mixed, images, seed=0) == mean_interval(mixed, images, seed=0)


def test_one_image_has_no_interval() -> None:
    assert mean_interval([0.0, 1.0], ["a", "a"], seed=0) is None


def test_equal_seeds_give_equal_intervals() -> None:
    images = [str(i) for i in range(9)]
    values = [float(i) for i in range(9)]
    assert mean_interval(values, images, seed=3) == mean_interval(values, images, seed=3)
    assert mean_interval(values, images, seed=3) != mean_interval(values, images, seed=4)


def test_a_statistic_of_sums_is_resampled_as_a_whole() -> None:
    terms = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 6.0]])
    assert interval(terms, ["a", "b", "c"], lambda sums: sums[:, 0] / sums[:, 1], seed=0) == (0.5, 0.5)


def test_few_images_are_not_taken_for_many() -> None:
    hits = 0
    for seed in range(400):
        values = np.random.default_rng(seed).normal(0.0, 1.0, 8)
        found = mean_interval(values.tolist(), [str(i) for i in range(8)], seed=seed, resamples=400)
        assert found is not None
        hits += found[0] <= 0.0 <= found[1]
    assert hits >= 366  # 0.95 less three standard errors; plain percentiles give about 0.89


@pytest.mark.parametrize("images", [2, 5, 30, 1000])
def test_tails_convert_both_ways(images: int) -> None:
    for tail in (0.025, 0.05, 0.5):
        assert tail_of_share(expanded_tail(tail, images), images) == pytest.approx(tail)
    assert expanded_tail(0.025, images) < 0.025
