"""A directory as a data set: whatever COCO captions and VQA files it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bitloom.errors import DataError
from eval_client.datasets import coco, vqa
from eval_client.datasets.documents import read_json
from eval_client.datasets.folder import SUFFIXES, ImageFolder
from eval_client.datasets.model import CaptionItem, QuestionItem


@dataclass(slots=True)
class Found:
    """What a directory holds."""

    captions: list[CaptionItem] = field(default_factory=list)
    questions: list[QuestionItem] = field(default_factory=list)


def load_directory(root: Path, forms: str) -> Found:
    """Everything in a directory that is in a known format; other JSON files are passed over.

    `forms` are the other ways to name a data set, for messages. Raises DataError.
    """
    folder = ImageFolder(root / "images" if (root / "images").is_dir() else root)
    documents: dict[Path, Any] = {
        path: read_json(path, "annotations") for path in sorted(root.glob("*.json"))
    }
    found = Found()
    for path in _only_one(root, "captions", documents, coco.is_captions, forms):
        found.captions = coco.parse_captions(path, documents[path], folder)
    for path in _only_one(root, "questions with answers", documents, vqa.is_merged, forms):
        found.questions = vqa.parse_merged(path, documents[path], folder)
    for path in _only_one(root, "questions", documents, vqa.is_questions, forms):
        answers = _only_one(root, "answers", documents, vqa.is_annotations, forms)
        if not answers:
            raise DataError(f"{root}: {path.name} has questions, but no file answers; expected {forms}")
        found.questions = vqa.parse_pair(path, documents[path], answers[0], documents[answers[0]], folder)
    if not found.captions and not found.questions:
        raise DataError(
            f"{root}: no captions or questions in its {len(documents)} JSON files; expected {coco.EXPECTED}, "
            f"or {vqa.EXPECTED_MERGED}, with images ({', '.join(SUFFIXES)}) beside them or in images/"
        )
    return found


def _only_one(root: Path, what: str, documents: dict[Path, Any], is_format: Any, forms: str) -> list[Path]:
    found = [path for path, document in documents.items() if is_format(document)]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DataError(f"{root}: {names} both hold {what}; name the one to use: {forms}")
    return found
