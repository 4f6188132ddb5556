"""`--data`: from a specification to a data set.

scenes:SPLIT                         drawn scenes
coco:CAPTIONS:IMAGES                 COCO captions format and its image folder
vqa:QUESTIONS:ANNOTATIONS:IMAGES     VQA format; vqa:MERGED:IMAGES where they are one list
DIRECTORY                            whatever of these formats the directory holds, images beside the
                                     files or in `images/`
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitloom.errors import DataError
from eval_client.datasets import coco, vqa
from eval_client.datasets.documents import pick, read_json
from eval_client.datasets.folder import SUFFIXES, ImageFolder
from eval_client.datasets.model import CaptionItem, Dataset, Limits, QuestionItem
from eval_client.datasets.scenes import load_scenes

FORMS = "scenes:SPLIT, coco:CAPTIONS:IMAGES, vqa:QUESTIONS:ANNOTATIONS:IMAGES or a directory"


def load_dataset(spec: str, limits: Limits) -> Dataset:
    """The data set of a specification, cut to the limits. Images are read later, each when it is needed.

    Raises DataError naming the file that is missing or wrong and what was expected.
    """
    kind, _, rest = spec.partition(":")
    if kind == "scenes":
        return load_scenes(rest or "test", limits)
    if kind == "coco":
        captions, images = _paths(spec, rest, 2)
        items = coco.parse_captions(captions, read_json(captions, coco.EXPECTED), ImageFolder(images))
        return _cut(spec, "coco", items, [], limits)
    if kind == "vqa":
        return _cut(spec, "vqa", [], _load_vqa(spec, rest), limits)
    if Path(spec).is_dir():
        return _load_directory(Path(spec), limits)
    raise DataError(f"data {spec!r}: neither a directory nor a known form; expected {FORMS}")


def _paths(spec: str, rest: str, count: int) -> list[Path]:
    parts = rest.split(":")
    if len(parts) != count or not all(parts):
        raise DataError(f"data {spec!r}: {len(parts)} paths, expected {count}; the forms are {FORMS}")
    return [Path(part) for part in parts]


def _load_vqa(spec: str, rest: str) -> list[QuestionItem]:
    if rest.count(":") == 1:
        merged, images = _paths(spec, rest, 2)
        return vqa.parse_merged(merged, read_json(merged, vqa.EXPECTED_MERGED), ImageFolder(images))
    questions, annotations, images = _paths(spec, rest, 3)
    return vqa.parse_pair(
        questions,
        read_json(questions, vqa.EXPECTED_QUESTIONS),
        annotations,
        read_json(annotations, vqa.EXPECTED_ANNOTATIONS),
        ImageFolder(images),
    )


def _load_directory(root: Path, limits: Limits) -> Dataset:
    """Everything in a directory that is in a known format; other JSON files are passed over."""
    folder = ImageFolder(root / "images" if (root / "images").is_dir() else root)
    documents: dict[Path, Any] = {
        path: read_json(path, "annotations") for path in sorted(root.glob("*.json"))
    }
    captions: list[CaptionItem] = []
    questions: list[QuestionItem] = []
    for path in _only_one(root, "captions", documents, coco.is_captions):
        captions = coco.parse_captions(path, documents[path], folder)
    for path in _only_one(root, "questions with answers", documents, vqa.is_merged):
        questions = vqa.parse_merged(path, documents[path], folder)
    for path in _only_one(root, "questions", documents, vqa.is_questions):
        answers = _only_one(root, "answers", documents, vqa.is_annotations)
        if not answers:
            raise DataError(f"{root}: {path.name} has questions, but no file answers; expected {FORMS}")
        questions = vqa.parse_pair(path, documents[path], answers[0], documents[answers[0]], folder)
    if not captions and not questions:
        raise DataError(
            f"{root}: no captions or questions in its {len(documents)} JSON files; expected {coco.EXPECTED}, "
            f"or {vqa.EXPECTED_MERGED}, with images ({', '.join(SUFFIXES)}) beside them or in images/"
        )
    return _cut(str(root), "folder", captions, questions, limits)


def _only_one(root: Path, what: str, documents: dict[Path, Any], is_format: Any) -> list[Path]:
    found = [path for path, document in documents.items() if is_format(document)]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DataError(f"{root}: {names} both hold {what}; name the one to use: {FORMS}")
    return found


def _cut(
    name: str, kind: str, captions: list[CaptionItem], questions: list[QuestionItem], limits: Limits
) -> Dataset:
    return Dataset(
        name=name,
        kind=kind,
        captions=pick(captions, limits.captions, lambda item: item.image.image_id),
        questions=pick(questions, limits.questions, lambda item: item.question_id),
        shards=coco.caption_shards(
            pick(captions, limits.retrieval, lambda item: item.image.image_id), limits.shard
        ),
    )
