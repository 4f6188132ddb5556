"""Recall at K, both ways, from the scores of a run's pairs.

A shard is the set of images that were matched with the same captions. Recall is computed within shards and
averaged over queries; a shard with a failed pair is left out, because a missing pair is no wrong answer.
A figure is the expected recall where equal scores come in random order; `ties` gives both extremes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitloom.results import SampleRecord, SampleScore
from eval_client.metrics.retrieval import DEFAULT_KS, RecallAtK, score_retrieval
from eval_client.tasks.pair_scores import scored_pairs
from eval_client.tasks.scores import TaskScores, share_score

Pairs = Mapping[str, Mapping[str, SampleRecord]]


@dataclass(frozen=True, slots=True)
class _Query:
    """The outcome of one query at one K."""

    name: str
    query_id: str
    image_id: str
    expected: float
    optimistic: float
    pessimistic: float


def score_pairs(records: Sequence[SampleRecord], seed: int) -> TaskScores:
    """Recall over all complete shards of the records."""
    pairs: dict[str, dict[str, SampleRecord]] = defaultdict(dict)
    for record in scored_pairs(records):
        if record.caption_id is not None:
            pairs[record.image_id][record.caption_id] = record
    shards = _shards(pairs)
    complete = [images for images in shards if _is_complete(images, pairs)]
    left_out = len(shards) - len(complete)
    notes = (f"{left_out} of {len(shards)} retrieval shards left out: pairs failed",) if left_out else ()
    queries = [query for images in complete for query in _queries(images, pairs)]
    names = dict.fromkeys(query.name for query in queries)
    by_name = {name: [query for query in queries if query.name == name] for name in names}
    return TaskScores(
        scores=tuple(
            share_score(
                "retrieval",
                name,
                [query.expected for query in each],
                [query.image_id for query in each],
                seed,
            )
            for name, each in by_name.items()
        ),
        per_sample=_per_sample(queries),
        breakdown={"retrieval ties": ties} if (ties := _ties(by_name)) else {},
        notes=notes,
    )


def _shards(pairs: Pairs) -> list[list[str]]:
    """Images by the captions they were matched with."""
    shards: dict[frozenset[str], list[str]] = defaultdict(list)
    for image, captions in pairs.items():
        shards[frozenset(captions)].append(image)
    return list(shards.values())


def _is_complete(images: Sequence[str], pairs: Pairs) -> bool:
    return all(record.score is not None for image in images for record in pairs[image].values())


def _queries(images: Sequence[str], pairs: Pairs) -> list[_Query]:
    captions = sorted(pairs[images[0]])
    owners = [caption.rpartition("#")[0] for caption in captions]
    scores = np.array([[pairs[image][caption].score for caption in captions] for image in images], np.float64)
    ks = [k for k in DEFAULT_KS if k < len(captions)]
    if not ks:
        return []
    recall = score_retrieval(scores, [images.index(owner) for owner in owners], ks)
    queries = _outcomes("text_to_image", recall.text_to_image, captions, owners)
    return queries + _outcomes("image_to_text", recall.image_to_text, images, images)


def _outcomes(
    direction: str, recalls: Sequence[RecallAtK], query_ids: Sequence[str], images: Sequence[str]
) -> list[_Query]:
    return [
        _Query(f"{direction}_R@{recall.k}", query_id, image, expected, recall.optimistic, recall.pessimistic)
        for recall in recalls
        for query_id, image, expected in zip(query_ids, images, recall.per_query.tolist(), strict=True)
    ]


def _ties(by_name: Mapping[str, Sequence[_Query]]) -> dict[str, float]:
    """Recall with all ties won, and with all lost, where that makes a difference."""
    ties: dict[str, float] = {}
    for name, queries in by_name.items():
        optimistic = sum(query.optimistic for query in queries) / len(queries)
        pessimistic = sum(query.pessimistic for query in queries) / len(queries)
        if optimistic != pessimistic:
            ties |= {f"{name} optimistic": optimistic, f"{name} pessimistic": pessimistic}
    return ties


def _per_sample(queries: Sequence[_Query]) -> tuple[SampleScore, ...]:
    by_query: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for query in queries:
        direction = query.name.rpartition("_")[0]
        by_query[direction, query.query_id, query.image_id][query.name] = query.expected
    return tuple(
        SampleScore(
            sample_id=f"{direction}/{query_id}",
            task="retrieval",
            image_id=image_id,
            kind=direction,
            scores=scores,
        )
        for (direction, query_id, image_id), scores in by_query.items()
    )
