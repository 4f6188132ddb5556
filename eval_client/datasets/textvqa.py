"""TextVQA and VizWiz, whose files hold questions and people's answers together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitloom.errors import DataError
from eval_client.datasets.documents import ForeignModel, check_unique, parse_list
from eval_client.datasets.folder import ImageFolder
from eval_client.datasets.model import QuestionItem

EXPECTED_TEXTVQA = (
    "the TextVQA format: {'data': [{'question_id', 'image_id', 'question', 'answers'}]}, which is "
    "TextVQA_0.5.1_val.json of textvqa.org/dataset (its test split has no answers)"
)
EXPECTED_VIZWIZ = (
    "the VizWiz format: a list of {'image', 'question', 'answers': [{'answer'}]}, which is val.json of "
    "vizwiz.org/tasks-and-datasets/vqa (its test split has no answers)"
)


class _TextQuestion(ForeignModel):
    question_id: str
    image_id: str
    question: str
    answers: list[str]


class _Answer(ForeignModel):
    answer: str


class _VizWizQuestion(ForeignModel):
    image: str
    question: str
    answers: list[_Answer]
    answer_type: str | None = None


def is_textvqa(document: Any) -> bool:
    """Whether a JSON document looks like TextVQA questions."""
    entries = document.get("data") if isinstance(document, dict) else None
    return isinstance(entries, list) and bool(entries) and "question" in entries[0]


def is_vizwiz(document: Any) -> bool:
    """Whether a JSON document looks like VizWiz questions."""
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and "question_id" not in first and {"image", "question"} <= set(first)


def parse_textvqa(path: Path, document: Any, folder: ImageFolder) -> list[QuestionItem]:
    """Questions in file order. Raises DataError."""
    if not is_textvqa(document):
        raise DataError(f"{path}: no questions in it; expected {EXPECTED_TEXTVQA}")
    questions = parse_list(path, _TextQuestion, document["data"], EXPECTED_TEXTVQA)
    check_unique(path, "question id", (each.question_id for each in questions))
    return [
        QuestionItem(each.question_id, folder.image(each.image_id), each.question, tuple(each.answers))
        for each in questions
    ]


def parse_vizwiz(path: Path, document: Any, folder: ImageFolder) -> list[QuestionItem]:
    """Questions in file order, one an image, whose name is the question's id. Raises DataError."""
    if not is_vizwiz(document):
        raise DataError(f"{path}: no questions in it; expected {EXPECTED_VIZWIZ}")
    questions = parse_list(path, _VizWizQuestion, document, EXPECTED_VIZWIZ)
    check_unique(path, "image", (each.image for each in questions))
    return [
        QuestionItem(
            Path(each.image).stem,
            folder.image(Path(each.image).stem, each.image),
            each.question,
            tuple(answer.answer for answer in each.answers),
            each.answer_type,
        )
        for each in questions
    ]
