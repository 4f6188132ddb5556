"""GQA question files: an object by question id. Only balanced questions are asked, as is usual."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from bitloom.errors import DataError
from eval_client.datasets.documents import ForeignModel, parse_list
from eval_client.datasets.folder import ImageFolder
from eval_client.datasets.model import QuestionItem

EXPECTED = (
    "the GQA questions format: {question id: {'imageId', 'question', 'answer', 'isBalanced'}}, which is "
    "testdev_balanced_questions.json of cs.stanford.edu/people/dorarad/gqa/download.html"
)


class _Types(ForeignModel):
    structural: str | None = None


class _Question(ForeignModel):
    image_id: str = Field(alias="imageId")
    question: str
    answer: str
    is_balanced: bool = Field(default=True, alias="isBalanced")
    types: _Types = _Types()


def is_gqa(document: Any) -> bool:
    """Whether a JSON document looks like GQA questions."""
    first = next(iter(document.values()), None) if isinstance(document, dict) else None
    return isinstance(first, dict) and {"imageId", "question"} <= set(first)


def parse_gqa(path: Path, document: Any, folder: ImageFolder) -> list[QuestionItem]:
    """The balanced questions, in file order, grouped by structural type.

    Raises DataError for another format (the test and challenge splits have no answers), a file without a
    balanced question, or a missing image.
    """
    if not is_gqa(document):
        raise DataError(f"{path}: no questions by id in it; expected {EXPECTED}")
    questions = parse_list(path, _Question, list(document.values()), EXPECTED)
    items = [
        QuestionItem(
            question_id, folder.image(each.image_id), each.question, (each.answer,), each.types.structural
        )
        for question_id, each in zip(document, questions, strict=True)
        if each.is_balanced
    ]
    if not items:
        raise DataError(f"{path}: none of its {len(questions)} questions is balanced; expected {EXPECTED}")
    return items
