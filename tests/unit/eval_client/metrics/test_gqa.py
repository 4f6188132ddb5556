from __future__ import annotations

from typing import Any

import pytest

from bitloom.errors import DataError
from eval_client.metrics.gqa import is_exact_match, score_gqa


@pytest.mark.parametrize(
    ("prediction", "official", "llava", "lmms_eval"),
    [
        ("yes", True, True, True),
        ("Yes", False, True, True),
        ("yes.", False, True, True),
        ("Yes!", False, False, True),
        ("no", False, False, False),
    ],
)
def test_variants(prediction: str, official: bool, llava: bool, lmms_eval: bool) -> None:
    matches = {"official": official, "llava": llava, "lmms_eval": lmms_eval}
    variants: list[Any] = list(matches)
    assert {variant: is_exact_match(prediction, "yes", variant) for variant in variants} == matches


def test_score_names_its_variant() -> None:
    scores = score_gqa({"1": "cat", "2": "dog"}, {"1": "cat", "2": "cat", "3": "x"}, "official")
    assert (scores.variant, scores.accuracy) == ("official", 0.5)
    assert scores.per_sample == {"1": True, "2": False}


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(DataError, match="no GQA predictions"):
        score_gqa({}, {"1": "cat"}, "official")
    with pytest.raises(DataError, match="1 predicted questions have no answer, first 9"):
        score_gqa({"9": "cat"}, {"1": "cat"}, "official")
