"""CIDEr-D, BLEU and ROUGE-L of a run's captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitloom.results import SampleRecord, Score
from eval_client.metrics.caption import CAPTION_METRICS, BleuStatistics, CaptionScorer, CaptionScores
from eval_client.metrics.caption.bleu import sentence_bleu
from eval_client.stats import Array, interval
from eval_client.tasks.scores import TaskScores, mean_score, sample_score

_ORDERS = 4


def score_captions(records: Sequence[SampleRecord], seed: int) -> TaskScores:
    """Scores of the answered captions; the references of all count for CIDEr's document frequencies."""
    answered = [record for record in records if record.answer is not None]
    if not answered:
        return TaskScores(notes=("captions not scored: no request was answered",))
    scorer = CaptionScorer({record.sample_id: record.references for record in records})
    scored = scorer.score({record.sample_id: (record.answer or "").strip() for record in answered})
    images = [record.image_id for record in answered]
    return TaskScores(
        scores=tuple(_score(name, scored, images, seed) for name in CAPTION_METRICS),
        per_sample=tuple(
            sample_score(record, {name: float(scored.per_sample[name][row]) for name in CAPTION_METRICS})
            for row, record in enumerate(answered)
        ),
    )


def _score(name: str, scored: CaptionScores, images: Sequence[str], seed: int) -> Score:
    if not name.startswith("Bleu_"):
        return mean_score("caption", name, scored.per_sample[name].tolist(), images, seed)
    low, high = _bleu_interval(scored.bleu, images, int(name[-1]), seed) or (None, None)
    return Score(
        task="caption", name=name, value=scored.corpus[name], low=low, high=high, samples=len(images)
    )


def _bleu_interval(
    bleu: BleuStatistics, images: Sequence[str], order: int, seed: int
) -> tuple[float, float] | None:
    """Corpus BLEU is no mean: it is resampled as the function of sums that it is."""
    lengths = np.stack([bleu.candidate_lengths, bleu.reference_lengths], axis=1)
    terms = np.concatenate([bleu.correct, bleu.guessed, lengths], axis=1).astype(np.float64)

    def statistic(sums: Array) -> Array:
        whole = np.rint(sums).astype(np.int64)
        correct, guessed = whole[:, :_ORDERS], whole[:, _ORDERS : 2 * _ORDERS]
        resampled = BleuStatistics(correct, guessed, whole[:, -2], whole[:, -1])
        return sentence_bleu(resampled)[:, order - 1]

    return interval(terms, images, statistic, seed=seed)
