"""BLEU of two runs as a function of sums over images.

Corpus BLEU is no mean of its samples', so that neither signs can be flipped nor means be compared: images
are resampled with what they add to the sums (matches and n-grams of each order, both lengths).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bitloom.results import SampleRecord
from eval_client.metrics.caption import BleuStatistics, CaptionScorer
from eval_client.metrics.caption.bleu import sentence_bleu
from eval_client.metrics.caption.ngrams import ORDERS
from eval_client.stats import Array
from eval_client.stats.bootstrap import image_sums
from eval_client.stats.paired import PairedTerms

_ORDERS = len(ORDERS)
_WIDTH = 2 * _ORDERS + 2


class BleuPairs:
    """The sums of both runs' captions, image by image, for any order of BLEU."""

    def __init__(
        self,
        sample_ids: Sequence[str],
        images: Sequence[str],
        a: Mapping[str, SampleRecord],
        b: Mapping[str, SampleRecord],
    ) -> None:
        """Count both runs' captions against the references of the samples, which are those of A's records."""
        scorer = CaptionScorer({sample_id: a[sample_id].references for sample_id in sample_ids})
        counted = [self._count(scorer, sample_ids, records) for records in (a, b)]
        self._sums = image_sums(np.concatenate(counted, axis=1), images)

    @staticmethod
    def _count(
        scorer: CaptionScorer, sample_ids: Sequence[str], records: Mapping[str, SampleRecord]
    ) -> Array:
        """[samples, 10]: matches and n-grams of four orders, own and closest reference length."""
        answers = {sample_id: (records[sample_id].answer or "").strip() for sample_id in sample_ids}
        found = scorer.score(answers).bleu
        lengths = np.stack([found.candidate_lengths, found.reference_lengths], axis=1)
        return np.asarray(np.concatenate([found.correct, found.guessed, lengths], axis=1), dtype=np.float64)

    def corpus(self, order: int) -> tuple[float, float]:
        """BLEU of that order of A and of B."""
        total = self._sums.sum(axis=0, keepdims=True)
        return _bleu(total[:, :_WIDTH], order).item(), _bleu(total[:, _WIDTH:], order).item()

    def terms(self, order: int) -> PairedTerms:
        """What a bootstrap of the difference needs; a run that lost an image has none of its matches."""
        middling = self._sums.mean(axis=0)
        a_lost, b_lost = middling.copy(), middling.copy()
        a_lost[:_ORDERS] = 0
        b_lost[_WIDTH : _WIDTH + _ORDERS] = 0
        return PairedTerms(
            self._sums,
            a_lost,
            b_lost,
            lambda sums: _bleu(sums[:, _WIDTH:], order) - _bleu(sums[:, :_WIDTH], order),
            differing=int((self._sums[:, :_WIDTH] != self._sums[:, _WIDTH:]).any(axis=1).sum()),
        )


def _bleu(sums: Array, order: int) -> Array:
    """BLEU of that order from sums [draws, 10], whole but for the image that a run lost."""
    whole = np.rint(sums).astype(np.int64)
    correct, guessed = whole[:, :_ORDERS], whole[:, _ORDERS : 2 * _ORDERS]
    return sentence_bleu(BleuStatistics(correct, guessed, whole[:, -2], whole[:, -1]))[:, order - 1]
