from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.errors import DataError
from eval_client.metrics.retrieval import score_retrieval


def test_an_image_hits_if_any_of_its_captions_is_high() -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.4], [0.8, 0.1, 0.2, 0.7]])
    recall = score_retrieval(scores, [0, 0, 1, 1], ks=(1, 2))
    assert [each.expected for each in recall.image_to_text] == [0.5, 1.0]  # caption 1, and 3 after 0
    assert [each.expected for each in recall.text_to_image] == [0.5, 1.0]
    assert recall.image_to_text[0].per_query.tolist() == [1.0, 0.0]


def test_equal_scores_hit_by_luck_only() -> None:
    recall = score_retrieval(np.zeros((4, 4)), [0, 1, 2, 3], ks=(1, 2, 4))
    for each, expected in zip(recall.image_to_text, (0.25, 0.5, 1.0), strict=True):
        assert each.optimistic == 1.0
        assert each.expected == pytest.approx(expected)
        assert each.pessimistic == float(each.k == 4)


def test_pairs_that_were_not_scored_never_hit() -> None:
    scores = np.array([[-np.inf, -np.inf], [0.5, 0.1]])
    recall = score_retrieval(scores, [0, 1], ks=(2,))
    assert recall.image_to_text[0].optimistic == 0.5
    assert recall.text_to_image[0].optimistic == 0.5


@pytest.mark.parametrize(
    ("scores", "owners", "message"),
    [
        (np.zeros((0, 0)), [], "expected images x texts"),
        (np.zeros((2, 3)), [0, 1], "a column for each text"),
        (np.array([[np.nan, 1.0]]), [0, 0], "is not a number"),
        (np.zeros((2, 2)), [0, 0], "every image have a text"),
        (np.zeros((1, 1)), [3], "every text must belong"),
    ],
)
def test_bad_input(scores: np.ndarray, owners: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        score_retrieval(scores, owners)


def test_recall_at_zero_is_refused() -> None:
    with pytest.raises(DataError, match="from 1 up"):
        score_retrieval(np.zeros((1, 1)), [0], ks=(0,))


@given(st.lists(st.integers(0, 2), min_size=4, max_size=4), st.integers(1, 4))
def test_ties_are_the_mean_best_and_worst_of_all_orders(row: list[int], k: int) -> None:
    """One image with captions 0 and 1 among four; another image owns the rest."""
    recall = score_retrieval(np.array([row, [9, 9, 9, 9]], dtype=float), [0, 0, 1, 1], ks=(k,))
    each = recall.image_to_text[0].per_query[0]
    orders = [
        order for order in permutations(range(4)) if [row[i] for i in order] == sorted(row, reverse=True)
    ]
    hits = [bool({0, 1} & set(order[:k])) for order in orders]
    assert each == pytest.approx(np.mean(hits))


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_bounds_enclose_and_grow_with_k(images: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.integers(0, 3, (images, 2 * images)).astype(float)
    recall = score_retrieval(scores, [text // 2 for text in range(2 * images)])
    for direction in (recall.image_to_text, recall.text_to_image):
        for each in direction:
            assert 0 <= each.pessimistic <= each.expected + 1e-12 <= each.optimistic + 2e-12 <= 1 + 3e-12
        assert [each.expected for each in direction] == sorted(each.expected for each in direction)
