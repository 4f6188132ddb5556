"""From the records of a run's retrieval to one record a pair, ready to be ranked.

A caption's prior (its likelihood about a grey picture, times the weight) is taken off its pairs. Vectors
become pairs. Pairs that a shortlist left out get minus infinity: they never hit. A pair whose request, or
whose prior or vector's request, failed has no score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from bitloom.results import SampleRecord
from eval_client.tasks.embeddings import EMBEDDING, similarities

PRIOR = "prior:"


def scored_pairs(records: Sequence[SampleRecord]) -> list[SampleRecord]:
    """One record a pair, in the order of the records."""
    vectors = [record for record in records if record.scorer == EMBEDDING]
    priors = [record for record in records if (record.scorer or "").startswith(PRIOR)]
    own = [record for record in records if record.caption_id is not None and record.scorer is None]
    pairs = _without_priors(own, priors) if priors else own
    return _from_vectors(vectors, pairs) if vectors else pairs


def _without_priors(pairs: Iterable[SampleRecord], priors: Iterable[SampleRecord]) -> list[SampleRecord]:
    taken_off = {
        prior.caption_id: prior.score * float((prior.scorer or "").removeprefix(PRIOR))
        for prior in priors
        if prior.score is not None
    }
    return [
        pair.model_copy(
            update={
                "score": pair.score - taken_off[pair.caption_id]
                if pair.score is not None and pair.caption_id in taken_off
                else None
            }
        )
        for pair in pairs
    ]


def _from_vectors(vectors: Sequence[SampleRecord], pairs: Sequence[SampleRecord]) -> list[SampleRecord]:
    """Every pair of every shard: as it was asked, or by its vectors where no pairs were."""
    asked = {(pair.image_id, pair.caption_id): pair for pair in pairs}
    known = similarities(vectors)
    found: list[SampleRecord] = []
    for kind in dict.fromkeys(record.kind for record in vectors):
        members = [record for record in vectors if record.kind == kind]
        scores = known.get(kind or "")
        captions = [each.caption_id for each in members if each.caption_id is not None]
        for row, image in enumerate(each for each in members if each.caption_id is None):
            for column, caption in enumerate(captions):
                if (image.image_id, caption) in asked:
                    found.append(asked[image.image_id, caption])
                    continue
                score = -math.inf if asked else None
                if not asked and scores is not None:
                    score = float(scores.scores[row, column])
                found.append(image.model_copy(update={"caption_id": caption, "score": score}))
    return found
