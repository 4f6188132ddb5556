"""Recall@K of image-to-text and text-to-image retrieval, with ties told apart instead of broken by chance.

A query hits at K where any document that belongs to it is among the first K. Let t documents share the
best score that one of its g documents reaches, b documents score higher, and r = K - b places be left:

    optimistic    its documents come first among equals:  hit where r >= 1
    pessimistic   they come last:                          hit where r > t - g
    expected      equals in random order:                  1 - C(t - g, r) / C(t, r)

A score of minus infinity says that the pair was not scored (left out by a shortlist): it never hits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from bitloom.errors import DataError

DEFAULT_KS = (1, 5, 10)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RecallAtK:
    """Recall at one K in one direction, between 0 and 1; `per_query` is the expected hit of each query."""

    k: int
    optimistic: float
    pessimistic: float
    expected: float
    per_query: Floats


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """Recall in both directions, one entry for each K."""

    image_to_text: tuple[RecallAtK, ...]
    text_to_image: tuple[RecallAtK, ...]


def score_retrieval(
    scores: NDArray[np.floating], image_of_text: Sequence[int], ks: Sequence[int] = DEFAULT_KS
) -> RetrievalScores:
    """Recall from `scores` (images, texts), higher is better; text j belongs to image `image_of_text[j]`.

    DataError where there are no images or texts, shapes disagree, a score is not a number, or an image
    has no text.
    """
    owners = np.asarray(image_of_text, np.int64)
    _check(scores, owners, ks)
    texts_of_image = [np.flatnonzero(owners == image) for image in range(len(scores))]
    return RetrievalScores(
        image_to_text=_recall(scores, texts_of_image, ks),
        text_to_image=_recall(scores.T, owners[:, None], ks),
    )


def _check(scores: NDArray[np.floating], owners: NDArray[np.int64], ks: Sequence[int]) -> None:
    if scores.ndim != 2 or not scores.size:
        raise DataError(
            f"retrieval scores have shape {scores.shape}: expected images x texts, both at least 1"
        )
    if scores.shape[1] != len(owners):
        raise DataError(
            f"{scores.shape[1]} columns of scores but {len(owners)} texts: expected a column for each text"
        )
    if np.isnan(scores).any():
        image, text = np.argwhere(np.isnan(scores))[0]
        raise DataError(f"the score of image {image} and text {text} is not a number: leave failed pairs out")
    if set(owners.tolist()) != set(range(len(scores))):
        raise DataError("every text must belong to an image with scores, and every image have a text")
    if not ks or min(ks) < 1:
        raise DataError(f"recall at {list(ks)}: expected places from 1 up")


def _recall(
    scores: NDArray[np.floating], relevant: Sequence[NDArray[np.int64]] | NDArray[np.int64], ks: Sequence[int]
) -> tuple[RecallAtK, ...]:
    ranks = [_rank(row, own) for row, own in zip(scores, relevant, strict=True)]
    recalls = []
    for k in ks:
        hits = np.array([_hits(higher, tied, own, k) for higher, tied, own in ranks])
        optimistic, pessimistic, expected = hits.mean(axis=0).tolist()
        recalls.append(RecallAtK(k, optimistic, pessimistic, expected, hits[:, 2]))
    return tuple(recalls)


def _rank(row: NDArray[np.floating], own: NDArray[np.int64]) -> tuple[int, int, int]:
    """How many documents score higher than the query's best, as high, and how many of those are its own."""
    best = row[own].max()
    if best == -np.inf:
        return len(row), 0, 0
    return int((row > best).sum()), int((row == best).sum()), int((row[own] == best).sum())


def _hits(higher: int, tied: int, own: int, k: int) -> tuple[float, float, float]:
    """Whether a query hits at k: optimistic, pessimistic, expected."""
    places = min(k - higher, tied)
    if places < 1:
        return 0.0, 0.0, 0.0
    missing = comb(tied - own, places) / comb(tied, places)
    return 1.0, float(places > tied - own), 1.0 - missing
