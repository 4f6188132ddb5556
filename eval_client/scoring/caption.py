"""Captions: references in COCO, Karpathy or SPICE format, predictions as `{image_id, caption}`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitloom.errors import DataError
from eval_client.metrics.caption import CaptionScorer
from eval_client.scoring.records import (
    Record,
    RecordId,
    by_id,
    check_same_ids,
    key_of,
    parse_records,
    read_document,
)
from eval_client.scoring.result import FileScores

EXPECTED_REFERENCES = (
    "reference captions: COCO {'annotations': [{'image_id', 'caption'}]}, "
    "Karpathy {'images': [{'sentences'}]} or a list of {'image_id', 'refs'}"
)
EXPECTED_PREDICTIONS = "a list of {'image_id', 'caption'}, one for each image"


class _Image(Record):
    id: RecordId


class _Annotation(Record):
    image_id: RecordId
    caption: str


class _Sentence(Record):
    raw: str


class _KarpathyImage(Record):
    cocoid: RecordId | None = None
    filename: str
    split: str
    sentences: list[_Sentence]


class _SpiceItem(Record):
    image_id: RecordId
    refs: list[str]


class _SpiceCandidate(Record):
    image_id: RecordId
    test: str


def score_caption_files(
    references_path: Path,
    predictions_path: Path,
    *,
    split: str = "test",
    is_partial: bool = False,
    with_meteor: bool = False,
) -> FileScores:
    """Score a results file. `is_partial` scores, and takes idf from, only images that are predicted.

    `split` is the part of a Karpathy file that holds the references. Raises DataError, and InputError
    where METEOR is wanted and cannot run.
    """
    references = read_references(references_path, split)
    predictions = read_predictions(predictions_path)
    check_same_ids(
        predictions_path, predictions, references_path, references, what="image", is_partial=is_partial
    )
    ids = {key: image_id for key, (image_id, _) in references.items() if key in predictions}
    scorer = CaptionScorer({key: references[key][1] for key in ids})
    candidates = {key: predictions[key] for key in ids}
    scores = scorer.score(candidates)
    corpus, values_of = dict(scores.corpus), dict(scores.per_sample)
    if with_meteor:
        corpus["METEOR"], values_of["METEOR"] = scorer.meteor(candidates)
    per_sample = [
        {"image_id": image_id} | {name: float(values[row]) for name, values in values_of.items()}
        for row, image_id in enumerate(ids.values())
    ]
    return FileScores("caption", len(per_sample), corpus, per_sample)


def read_predictions(path: Path) -> dict[str, str]:
    """Captions by image, from a COCO results file or the `test` entries of a SPICE file."""
    records = read_document(path, EXPECTED_PREDICTIONS)
    if isinstance(records, list) and records and isinstance(records[0], dict) and "test" in records[0]:
        items = parse_records(
            path, _SpiceCandidate, records, id_field="image_id", expected=EXPECTED_PREDICTIONS
        )
        return by_id(path, "image", ((item.image_id, item.test) for item in items))
    captions = parse_records(path, _Annotation, records, id_field="image_id", expected=EXPECTED_PREDICTIONS)
    return by_id(path, "image", ((item.image_id, item.caption) for item in captions))


def read_references(path: Path, split: str) -> dict[str, tuple[RecordId, list[str]]]:
    """Image id as in the file, and captions, by the id's key, in the order of the file's images."""
    document = read_document(path, EXPECTED_REFERENCES)
    if isinstance(document, dict) and "annotations" in document:
        return _coco(path, document)
    if isinstance(document, dict) and "images" in document:
        return _karpathy(path, document["images"], split)
    items = parse_records(path, _SpiceItem, document, id_field="image_id", expected=EXPECTED_REFERENCES)
    return by_id(path, "image", ((item.image_id, (item.image_id, item.refs)) for item in items))


def _coco(path: Path, document: dict[str, Any]) -> dict[str, tuple[RecordId, list[str]]]:
    """COCO lists images apart; their order is the one in which the reference tokenizer sees captions."""
    images: dict[str, tuple[RecordId, list[str]]] = {}
    if document.get("images"):
        listed = parse_records(path, _Image, document["images"], id_field="id", expected=EXPECTED_REFERENCES)
        images = by_id(path, "image", ((image.id, (image.id, list[str]())) for image in listed))
    annotations = parse_records(
        path, _Annotation, document["annotations"], id_field="image_id", expected=EXPECTED_REFERENCES
    )
    for annotation in annotations:
        key = key_of(annotation.image_id)
        images.setdefault(key, (annotation.image_id, []))[1].append(annotation.caption)
    return {key: image for key, image in images.items() if image[1]}


def _karpathy(path: Path, records: Any, split: str) -> dict[str, tuple[RecordId, list[str]]]:
    images = parse_records(path, _KarpathyImage, records, id_field="filename", expected=EXPECTED_REFERENCES)
    chosen = [image for image in images if image.split == split]
    if not chosen:
        splits = ", ".join(sorted({image.split for image in images}))
        raise DataError(f"{path}: no image of split {split!r}; expected one of {splits}: choose with --split")
    return by_id(path, "image", ((_karpathy_id(image), _captions(image)) for image in chosen))


def _karpathy_id(image: _KarpathyImage) -> RecordId:
    """COCO's id; for Flickr30k, whose files have none, the name of the photograph without its ending."""
    return image.cocoid if image.cocoid is not None else Path(image.filename).stem


def _captions(image: _KarpathyImage) -> tuple[RecordId, list[str]]:
    return _karpathy_id(image), [sentence.raw for sentence in image.sentences]
