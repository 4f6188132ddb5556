"""Standard errors count images once, and shares of a base are paired with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bitloom.errors import InputError
from bitloom.results import SampleScore, Task
from eval_client.estimates import kept_interval, mean_estimate, shares


def scores(name: str, values: Sequence[float], images: Sequence[object]) -> list[SampleScore]:
    task: Task = "caption" if name == "CIDEr" else "vqa"
    return [
        SampleScore(sample_id=f"{name}{place}", task=task, image_id=str(image), scores={name: float(value)})
        for place, (value, image) in enumerate(zip(values, images, strict=True))
    ]


def test_samples_of_one_image_count_as_one() -> None:
    values = [float(place % 8 < 4) for place in range(16)]
    alone = mean_estimate(scores("vqa", values, range(16)), "vqa")
    assert (alone.value, alone.standard_error) == pytest.approx((0.5, 0.5 * np.sqrt(16 / 15) / 4))
    in_pairs = mean_estimate(scores("vqa", values, [place // 2 for place in range(16)]), "vqa")
    assert in_pairs.standard_error == pytest.approx(0.5 * np.sqrt(8 / 7) / np.sqrt(8))


def test_errors_of_shares_are_those_of_many_draws() -> None:
    """The spread over fresh samples, of two tasks about the same images, is what one sample says."""
    generator = np.random.default_rng(0)
    found, errors = [], []
    for _ in range(400):
        hard = generator.normal(size=200)
        base = np.stack([6 + hard, 4 + 0.5 * hard], axis=1)
        own = base - 0.3 + 0.2 * generator.normal(size=(200, 1))
        table = [
            scores("CIDEr", each[:, 0].tolist(), range(200)) + scores("vqa", each[:, 1].tolist(), range(200))
            for each in (own, base)
        ]
        kept = shares(table[0], table[1], ("CIDEr", "vqa"))["kept"]
        found.append(kept.value)
        errors.append(kept.standard_error)
    assert np.mean(found) == pytest.approx((5.7 / 6 + 3.7 / 4) / 2, abs=2e-3)
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.1)
    unpaired = mean_estimate(table[0], "CIDEr").standard_error / 6
    assert np.mean(errors) < 0.5 * unpaired


def test_an_interval_of_a_lead_is_paired() -> None:
    generator = np.random.default_rng(1)
    base = 5 + generator.normal(size=300)
    own, other = base - 0.1, base - 0.2
    tables = [scores("CIDEr", each.tolist(), range(300)) for each in (own, base, other)]
    lead = kept_interval(tables[0], tables[1], ("CIDEr",), tables[2])
    assert lead.value == pytest.approx(0.02, abs=1e-3)
    assert lead.low is not None
    assert lead.high is not None
    assert lead.high - lead.low < 0.01
    one_image = scores("CIDEr", [1.0], [0])
    assert kept_interval(one_image, one_image, ("CIDEr",)).low is None


def test_where_no_answer_differs_nothing_is_certain() -> None:
    """As if half a sample had been lost: of n samples the error is 1 / (n sqrt 2)."""
    base = scores("CIDEr", [1.0] * 50, range(50)) + scores("vqa", [1.0] * 50, range(50))
    kept = shares(base, base, ("CIDEr", "vqa"))
    assert kept["CIDEr_kept"] == kept["vqa_kept"]
    assert kept["CIDEr_kept"].standard_error == pytest.approx(np.sqrt(0.5) / 50)
    assert kept["kept"].standard_error == pytest.approx(0.5 / 50)
    same = kept_interval(base, base, ("CIDEr", "vqa"), base)
    assert (same.value, same.low, same.high) == pytest.approx((0.0, -2.0096 / 100, 2.0096 / 100), abs=1e-5)


def test_of_nothing_no_share_is_kept() -> None:
    base = scores("CIDEr", [1.0], [0]) + scores("vqa", [0.0], [0])
    with pytest.raises(InputError, match="base's vqa is 0"):
        shares(base, base, ("CIDEr", "vqa"))
