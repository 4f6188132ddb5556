from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.errors import DataError
from eval_client.metrics.pope import says_yes, score_pope


@pytest.mark.parametrize(
    ("answer", "is_yes"),
    [
        ("Yes, there is a bird.", True),
        ("No", False),
        ("no.", False),
        ("There is not a bird in the image.", False),
        ("There is a bird. There is no cat.", True),
        ("NO", True),  # POPE's rule, to the letter
        ("Nothing", True),
        ("", True),
    ],
)
def test_rule(answer: str, is_yes: bool) -> None:
    assert says_yes(answer) is is_yes


def test_figures() -> None:
    labels = {"1": True, "2": True, "3": False, "4": False, "5": False}
    scores = score_pope({"1": "yes", "2": "no", "3": "yes", "4": "no", "5": "no"}, labels)
    assert scores.accuracy == 0.6
    assert (scores.precision, scores.recall, scores.f1) == (0.5, 0.5, 0.5)
    assert scores.yes_ratio == 0.4
    assert list(scores.per_sample.values()) == [True, False, False, True, True]


def test_shares_of_nothing_are_none() -> None:
    scores = score_pope({"1": "no"}, {"1": False})
    assert (scores.accuracy, scores.precision, scores.recall, scores.f1) == (1.0, None, None, None)
    never_right = score_pope({"1": "yes", "2": "no"}, {"1": False, "2": True})
    assert (never_right.precision, never_right.recall, never_right.f1) == (0.0, 0.0, None)


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(DataError, match="no POPE predictions"):
        score_pope({}, {"1": True})
    with pytest.raises(DataError, match="no label, first 2"):
        score_pope({"2": "yes"}, {"1": True})


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_always_yes_has_the_share_of_yes_as_accuracy(items: dict[str, tuple[bool, bool]]) -> None:
    labels = {key: label for key, (label, _) in items.items()}
    scores = score_pope(dict.fromkeys(labels, "yes"), labels)
    assert scores.yes_ratio == 1.0
    assert scores.accuracy == scores.precision == sum(labels.values()) / len(labels)
