"""BLEU-1..4 as pycocoevalcap computes it: closest reference length, 1e-15 and 1e-9 against division by zero.

The corpus figure is not the mean of the sentence figures but a function of four sums; `BleuStatistics`
keeps what is summed, so that a bootstrap can sum over resampled images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval_client.metrics.caption.ngrams import ORDERS, Floats, Ints
from eval_client.metrics.caption.overlap import Overlap
from eval_client.metrics.caption.references import ReferenceIndex

_TINY = 1e-15  # added to numerators
_SMALL = 1e-9  # added to denominators


@dataclass(frozen=True, slots=True)
class BleuStatistics:
    """Per candidate: n-grams that match, n-grams there are (both (N, 4)), its length, the closest length."""

    correct: Ints
    guessed: Ints
    candidate_lengths: Ints
    reference_lengths: Ints


def bleu_statistics(
    references: ReferenceIndex, overlaps: Sequence[Overlap], images: Ints, candidate_lengths: Ints
) -> BleuStatistics:
    """Count what BLEU needs; candidate i is of image `images[i]`."""
    correct = np.zeros((len(images), len(ORDERS)), np.int64)
    for order, overlap in zip(ORDERS, overlaps, strict=True):
        clipped = np.minimum(overlap.index.group_most[overlap.groups], overlap.counts)
        correct[:, order - 1] = np.bincount(overlap.candidates, clipped, minlength=len(images))
    guessed = np.maximum(0, candidate_lengths[:, None] - np.arange(len(ORDERS)))
    return BleuStatistics(
        correct, guessed, candidate_lengths, _closest_lengths(references, images, candidate_lengths)
    )


def _closest_lengths(references: ReferenceIndex, images: Ints, candidate_lengths: Ints) -> Ints:
    """The reference length nearest to each candidate's; of two as near, the shorter."""
    closest = np.zeros(len(images), np.int64)
    for place in range(int(references.counts.max(initial=0))):
        has = references.counts[images] > place
        length = references.lengths[(references.first[images] + place)[has]]
        own = candidate_lengths[has]
        best, gap = closest[has], np.abs(length - own)
        best_gap = np.abs(best - own)
        better = (gap < best_gap) | ((gap == best_gap) & (length < best)) | (place == 0)
        closest[has] = np.where(better, length, best)
    return closest


def sentence_bleu(statistics: BleuStatistics) -> Floats:
    """BLEU-1..4 of each candidate, shape (N, 4)."""
    return _bleu(
        statistics.correct, statistics.guessed, statistics.candidate_lengths, statistics.reference_lengths
    )


def corpus_bleu(statistics: BleuStatistics, weights: Ints | None = None) -> Floats:
    """BLEU-1..4 of the corpus, shape (4,); `weights` (N,) says how often each image counts."""
    times = np.ones(len(statistics.correct), np.int64) if weights is None else weights
    scores = _bleu(
        (times @ statistics.correct)[None],
        (times @ statistics.guessed)[None],
        np.array([times @ statistics.candidate_lengths]),
        np.array([times @ statistics.reference_lengths]),
    )
    return np.asarray(scores[0])


def _bleu(correct: Ints, guessed: Ints, candidate_lengths: Ints, reference_lengths: Ints) -> Floats:
    precisions = np.cumprod((correct + _TINY) / (guessed + _SMALL), axis=1)
    scores = precisions ** (1.0 / np.array(ORDERS))
    ratio = (candidate_lengths + _TINY) / (reference_lengths + _SMALL)
    penalty = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    return np.asarray(np.where(ratio[:, None] < 1, scores * penalty[:, None], scores))
