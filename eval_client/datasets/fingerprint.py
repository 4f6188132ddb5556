"""The hash of a data set as used: ids, texts, and the content of every image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from eval_client.datasets.model import Dataset
from eval_client.images import ImageSource


def dataset_hash(dataset: Dataset) -> str:
    """SHA-256 over the items in their order. Reads every image once, so a missing one is found here.

    Raises DataError naming the first image that is missing or no image.
    """
    digest = hashlib.sha256()
    for line in _lines(dataset):
        digest.update(json.dumps(line, ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()


def _lines(dataset: Dataset) -> Iterator[list[object]]:
    hashes: dict[str, str] = {}

    def image(source: ImageSource) -> str:
        if source.image_id not in hashes:
            hashes[source.image_id] = source.read().sha256
        return f"{source.image_id} {hashes[source.image_id]}"

    for item in dataset.captions:
        yield ["caption", image(item.image), *item.references]
    for question in dataset.questions:
        yield [
            "question",
            question.question_id,
            image(question.image),
            question.kind,
            question.question,
            *question.answers,
        ]
    for shard in dataset.shards:
        yield ["shard", *(image(source) for source in shard.images)]
        yield ["candidates", *((each.caption_id, each.text) for each in shard.captions)]
