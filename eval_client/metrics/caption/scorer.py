"""Scores captions against references that are tokenized and indexed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from bitloom.errors import DataError
from eval_client.metrics.caption.bleu import BleuStatistics, bleu_statistics, corpus_bleu, sentence_bleu
from eval_client.metrics.caption.cider import cider_d
from eval_client.metrics.caption.meteor import meteor
from eval_client.metrics.caption.ngrams import ORDERS, Floats, Ints
from eval_client.metrics.caption.overlap import overlaps
from eval_client.metrics.caption.references import ReferenceIndex
from eval_client.metrics.caption.rouge import rouge_l
from eval_client.metrics.ptb_tokenizer import PtbTokenizer

SampleId = int | str
Id = TypeVar("Id", bound=SampleId)

CAPTION_METRICS = ("CIDEr", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L")
_BLEU_NAMES = tuple(f"Bleu_{order}" for order in ORDERS)


@dataclass(frozen=True, slots=True)
class CaptionScores:
    """Scores between 0 and 1 (CIDEr: 0 and 10), of the corpus and of each image in the order of `ids`."""

    ids: tuple[SampleId, ...]
    corpus: Mapping[str, float]
    per_sample: Mapping[str, Floats]
    bleu: BleuStatistics


class CaptionScorer:
    """References of a data set, ready to score as many runs as there are."""

    def __init__(self, references: Mapping[Id, Sequence[str]], tokenizer: PtbTokenizer | None = None) -> None:
        """Tokenize and index; DataError where there are no images, or an image has no reference."""
        if not references:
            raise DataError("no reference captions: give at least one image with one caption")
        for sample_id, captions in references.items():
            if not captions:
                raise DataError(f"image {sample_id!r} has no reference caption: give one or leave it out")
        self._tokenizer = tokenizer or PtbTokenizer()
        self._rows: dict[SampleId, int] = {sample_id: row for row, sample_id in enumerate(references)}
        flat = [caption for captions in references.values() for caption in captions]
        tokenized = iter(self._tokenizer.tokenize(flat))
        self._references = [[next(tokenized) for _ in captions] for captions in references.values()]
        self._index = ReferenceIndex(self._references)

    def cider(self, candidates: Mapping[Id, str]) -> tuple[float, Floats]:
        """CIDEr-D alone: of the corpus, and of each candidate in the order given."""
        rows, tokenized = self._tokenize(candidates)
        captions = self._index.number_candidates(tokenized)
        shared = list(overlaps(self._index, captions, rows))
        scores = cider_d(self._index, shared, rows, captions.lengths)
        return float(np.mean(scores)), scores

    def meteor(self, candidates: Mapping[Id, str]) -> tuple[float, Floats]:
        """METEOR of the corpus and of each candidate; InputError without Java and pycocoevalcap."""
        rows, tokenized = self._tokenize(candidates)
        return meteor([self._references[row] for row in rows], tokenized)

    def score(self, candidates: Mapping[Id, str]) -> CaptionScores:
        """All metrics, over the images that have a candidate; idf is that of all references.

        DataError where there is no candidate, or one of an image that has no references.
        """
        rows, tokenized = self._tokenize(candidates)
        captions = self._index.number_candidates(tokenized)
        shared = list(overlaps(self._index, captions, rows))
        statistics = bleu_statistics(self._index, shared, rows, captions.lengths)
        per_sample: dict[str, Floats] = {"CIDEr": cider_d(self._index, shared, rows, captions.lengths)}
        per_sample |= dict(zip(_BLEU_NAMES, sentence_bleu(statistics).T, strict=True))
        per_sample["ROUGE_L"] = np.array(
            [rouge_l(caption, self._references[row]) for row, caption in zip(rows, tokenized, strict=True)]
        )
        corpus = {name: float(np.mean(scores)) for name, scores in per_sample.items()}
        corpus |= zip(_BLEU_NAMES, map(float, corpus_bleu(statistics)), strict=True)
        return CaptionScores(tuple(candidates), corpus, per_sample, statistics)

    def _tokenize(self, candidates: Mapping[Id, str]) -> tuple[Ints, list[str]]:
        if not candidates:
            raise DataError("no captions to score: give at least one prediction")
        unknown = [sample_id for sample_id in candidates if sample_id not in self._rows]
        if unknown:
            raise DataError(
                f"{len(unknown)} predictions are of images without references, first {unknown[0]!r}: "
                "score them against the references of the same data set"
            )
        rows = np.array([self._rows[sample_id] for sample_id in candidates], np.int64)
        return rows, self._tokenizer.tokenize(list(candidates.values()))
