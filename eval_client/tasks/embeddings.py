"""Retrieval from vectors: one request an image and one a caption instead of one a pair.

The similarity of an image and a caption is the largest cosine of their vectors, which is BLIP-2's way to
compare an image's queries with a caption, and the plain cosine where both have one vector.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitloom.results import SampleRecord
from eval_client.datasets import Dataset
from eval_client.tasks.samples import Sample

EMBEDDING = "embedding"
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Similarities:
    """Scores (images, captions) of one shard, with the ids of its rows and columns."""

    images: tuple[str, ...]
    captions: tuple[str, ...]
    scores: Floats

    def shortlist(self, size: int) -> set[tuple[str, str]]:
        """Pairs in which one is among the other's `size` nearest, either way; equals by order of the file."""
        order = np.argsort(-self.scores, axis=1, kind="stable")[:, :size]
        pairs = {(self.images[row], self.captions[each]) for row, near in enumerate(order) for each in near}
        order = np.argsort(-self.scores, axis=0, kind="stable")[:size].T
        near_images = {
            (self.images[each], self.captions[column]) for column, near in enumerate(order) for each in near
        }
        return pairs | near_images


def embedding_samples(dataset: Dataset) -> Iterator[Sample]:
    """One sample an image and one a caption of every shard."""
    for number, shard in enumerate(dataset.shards):
        kind = f"shard {number}"
        owners = {image.image_id: image for image in shard.images}
        for image in shard.images:
            name = f"retrieval/image/{image.image_id}"
            yield Sample(name, "retrieval", image, "", 1, kind=kind, scorer=EMBEDDING, mode="embeddings")
        for candidate in shard.captions:
            yield Sample(
                f"retrieval/caption/{candidate.caption_id}",
                "retrieval",
                owners[candidate.image_id],
                "",
                1,
                kind=kind,
                scorer=EMBEDDING,
                candidate=candidate,
                mode="embeddings",
            )


def similarities(records: Sequence[SampleRecord]) -> dict[str, Similarities]:
    """The similarities of every shard whose vectors are all there, by the shard's name."""
    shards: dict[str, list[SampleRecord]] = {}
    for record in records:
        if record.scorer == EMBEDDING and record.kind is not None:
            shards.setdefault(record.kind, []).append(record)
    return {
        kind: _similarities(members)
        for kind, members in shards.items()
        if all(member.embedding is not None for member in members)
    }


def _similarities(members: Sequence[SampleRecord]) -> Similarities:
    images = [each for each in members if each.caption_id is None]
    captions = {each.caption_id: each for each in members if each.caption_id is not None}
    texts = [_unit(each) for each in captions.values()]
    scores = np.array([[float((_unit(image) @ text.T).max()) for text in texts] for image in images])
    return Similarities(tuple(each.image_id for each in images), tuple(captions), scores)


def pack(vectors: Sequence[Sequence[float]]) -> str:
    """Vectors as a record keeps them: base64 of little-endian float32, row by row."""
    return base64.b64encode(np.asarray(vectors, "<f4").tobytes()).decode()


def _unit(record: SampleRecord) -> Floats:
    """The record's vectors (rows, width), each of length 1; one of length 0 stays."""
    flat = np.frombuffer(base64.b64decode(record.embedding or ""), "<f4").astype(np.float64)
    vectors = flat.reshape(-1, record.embedding_width or len(flat))
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))


def shortlisted(samples: Sequence[Sample], kept: Mapping[str, Similarities], size: int) -> list[Sample]:
    """Those of the pairs that are in the shortlist of their shard."""
    pairs = set[tuple[str, str]]()
    for each in kept.values():
        pairs |= each.shortlist(size)
    return [
        sample
        for sample in samples
        if sample.candidate and (sample.image.image_id, sample.candidate.caption_id) in pairs
    ]
