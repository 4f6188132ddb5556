"""Retrieval: references in COCO captions format, scores of pairs as records or as a matrix.

Records are `{image_id, caption_id, score}`; pairs that are left out (by a shortlist) never hit. A matrix is
an `.npz` file with `scores` (images, captions), `image_ids` and `caption_ids`.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitloom.errors import DataError
from eval_client.metrics.retrieval import RecallAtK, score_retrieval
from eval_client.scoring.records import Record, RecordId, by_id, key_of, parse_records, read_document
from eval_client.scoring.result import FileScores

EXPECTED_REFERENCES = "COCO captions: {'annotations': [{'id', 'image_id', 'caption'}]}"
EXPECTED_PREDICTIONS = (
    "a list of {'image_id', 'caption_id', 'score'}, or an .npz file with 'scores' (images, captions), "
    "'image_ids' and 'caption_ids'"
)
Floats = NDArray[np.float64]


class _Annotation(Record):
    id: RecordId
    image_id: RecordId


class _Pair(Record):
    image_id: RecordId
    caption_id: RecordId
    score: float


def score_retrieval_files(references_path: Path, predictions_path: Path) -> FileScores:
    """Recall@1/5/10 in both directions, ties told apart; ids as in the references. Raises DataError."""
    image_of_caption, image_ids = _read_references(references_path)
    images = {key: row for row, key in enumerate(image_ids)}
    captions = {key: column for column, key in enumerate(image_of_caption)}
    scores = _scores(predictions_path, images, captions)
    _check_scored(predictions_path, scores, image_ids)
    recalls = score_retrieval(scores, [images[image] for image in image_of_caption.values()])
    return FileScores(
        task="retrieval",
        samples=len(images) + len(captions),
        scores=dict(_figures("image_to_text", recalls.image_to_text))
        | dict(_figures("text_to_image", recalls.text_to_image)),
        per_sample=[
            *_per_query("image_id", list(image_ids.values()), recalls.image_to_text),
            *_per_query("caption_id", list(image_of_caption), recalls.text_to_image),
        ],
    )


def _read_references(path: Path) -> tuple[dict[str, str], dict[str, RecordId]]:
    """Image key by caption key, and image id by image key, both in file order."""
    document = read_document(path, EXPECTED_REFERENCES)
    if not isinstance(document, dict) or "annotations" not in document:
        raise DataError(f"{path}: no annotations in it; expected {EXPECTED_REFERENCES}")
    annotations = parse_records(
        path, _Annotation, document["annotations"], id_field="id", expected=EXPECTED_REFERENCES
    )
    image_of_caption = by_id(path, "caption", ((each.id, key_of(each.image_id)) for each in annotations))
    return image_of_caption, {key_of(each.image_id): each.image_id for each in annotations}


def _pairs(path: Path) -> Iterable[tuple[RecordId, RecordId, float]]:
    records = read_document(path, EXPECTED_PREDICTIONS)
    pairs = parse_records(path, _Pair, records, id_field="image_id", expected=EXPECTED_PREDICTIONS)
    return ((pair.image_id, pair.caption_id, pair.score) for pair in pairs)


def _matrix(path: Path) -> Iterable[tuple[RecordId, RecordId, float]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            scores, image_ids, caption_ids = (
                archive[name] for name in ("scores", "image_ids", "caption_ids")
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as exc:
        raise DataError(f"{path}: cannot be read ({exc}); expected {EXPECTED_PREDICTIONS}") from exc
    if scores.shape != (len(image_ids), len(caption_ids)):
        raise DataError(
            f"{path}: scores have shape {scores.shape} for {len(image_ids)} images and {len(caption_ids)} "
            "captions; expected a row for each image and a column for each caption"
        )
    columns = caption_ids.tolist()
    for image_id, row in zip(image_ids.tolist(), scores.tolist(), strict=True):
        yield from ((image_id, caption_id, score) for caption_id, score in zip(columns, row, strict=True))


def _scores(path: Path, images: Mapping[str, int], captions: Mapping[str, int]) -> Floats:
    """The matrix (images, captions) of the file's scores; minus infinity where it has none."""
    scores = np.full((len(images), len(captions)), -np.inf)
    pairs = _matrix(path) if path.suffix == ".npz" else _pairs(path)
    seen = np.zeros(scores.shape, dtype=bool)
    for image_id, caption_id, score in pairs:
        place = _place(path, image_id, caption_id, images, captions)
        if seen[place]:
            raise DataError(
                f"{path}: image {image_id!r} and caption {caption_id!r} come twice; "
                "expected each pair once: remove one of them"
            )
        if math.isnan(score):
            raise DataError(
                f"{path}: the score of image {image_id!r} and caption {caption_id!r} is not a "
                "number; expected one: leave pairs out that could not be scored"
            )
        seen[place] = True
        scores[place] = score
    return scores


def _place(
    path: Path,
    image_id: RecordId,
    caption_id: RecordId,
    images: Mapping[str, int],
    captions: Mapping[str, int],
) -> tuple[int, int]:
    for what, record_id, known in (("image", image_id, images), ("caption", caption_id, captions)):
        if key_of(record_id) not in known:
            raise DataError(
                f"{path}: {what} {record_id!r} is not in the references; expected pairs of their images and "
                "captions: take both from one split"
            )
    return images[key_of(image_id)], captions[key_of(caption_id)]


def _check_scored(path: Path, scores: Floats, image_ids: Mapping[str, RecordId]) -> None:
    """An image without a single pair was forgotten, not left out by a shortlist."""
    for row, image_id in enumerate(image_ids.values()):
        if not np.isfinite(scores[row]).any():
            raise DataError(
                f"{path}: no pair of image {image_id!r}; expected at least one for each image: complete the "
                "file, or leave the image out of the references"
            )


def _figures(direction: str, recalls: tuple[RecallAtK, ...]) -> Iterable[tuple[str, float]]:
    for recall in recalls:
        yield f"{direction}_R@{recall.k}", recall.expected
        yield f"{direction}_R@{recall.k}_optimistic", recall.optimistic
        yield f"{direction}_R@{recall.k}_pessimistic", recall.pessimistic


def _per_query(
    id_field: str, ids: list[RecordId] | list[str], recalls: tuple[RecallAtK, ...]
) -> Iterable[dict[str, float | RecordId]]:
    for row, query in enumerate(ids):
        hits = {f"R@{recall.k}": float(recall.per_query[row]) for recall in recalls}
        yield {id_field: query} | hits
