"""Files in the VQA format: questions and annotations apart, or merged in one list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitloom.errors import DataError
from eval_client.datasets.documents import ForeignModel, check_unique, parse_list
from eval_client.datasets.folder import ImageFolder
from eval_client.datasets.model import QuestionItem

EXPECTED_QUESTIONS = "the VQA questions format: {'questions': [{'question_id', 'image_id', 'question'}]}"
EXPECTED_ANNOTATIONS = "the VQA annotations format: {'annotations': [{'question_id', 'answers'}]}"
EXPECTED_MERGED = "a list of {'question_id', 'image_id', 'question', 'answers'}"


class _Answer(ForeignModel):
    answer: str


class _Question(ForeignModel):
    question_id: str
    image_id: str
    question: str


class _Annotation(ForeignModel):
    question_id: str
    answers: list[_Answer]
    question_type: str | None = None
    answer_type: str | None = None

    @property
    def kind(self) -> str | None:
        """Answer type (yes/no, number, other) where it is given, else the question type."""
        return self.answer_type or self.question_type

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(each.answer for each in self.answers)


class _Merged(_Question, _Annotation):
    pass


def is_questions(document: Any) -> bool:
    """Whether a JSON document looks like a VQA questions file."""
    return isinstance(document, dict) and isinstance(document.get("questions"), list)


def is_annotations(document: Any) -> bool:
    """Whether a JSON document looks like a VQA annotations file."""
    annotations = document.get("annotations") if isinstance(document, dict) else None
    return isinstance(annotations, list) and bool(annotations) and "answers" in annotations[0]


def is_merged(document: Any) -> bool:
    """Whether a JSON document is a list of questions with their answers."""
    return isinstance(document, list) and bool(document) and {"question", "answers"} <= set(document[0])


def parse_merged(path: Path, document: Any, folder: ImageFolder) -> list[QuestionItem]:
    """Questions of a merged file, in file order. Raises DataError."""
    records = parse_list(path, _Merged, document, EXPECTED_MERGED)
    check_unique(path, "question id", (record.question_id for record in records))
    return [_item(record, record, folder) for record in records]


def parse_pair(
    questions_path: Path, questions: Any, annotations_path: Path, annotations: Any, folder: ImageFolder
) -> list[QuestionItem]:
    """Questions with the answers of the annotations file, in the order of the questions file.

    Raises DataError where a file has another format, an id comes twice, or a question has no annotation.
    """
    if not is_questions(questions):
        raise DataError(f"{questions_path}: no questions in it; expected {EXPECTED_QUESTIONS}")
    if not is_annotations(annotations):
        raise DataError(f"{annotations_path}: no answers in it; expected {EXPECTED_ANNOTATIONS}")
    asked = parse_list(questions_path, _Question, questions["questions"], EXPECTED_QUESTIONS)
    answered = parse_list(annotations_path, _Annotation, annotations["annotations"], EXPECTED_ANNOTATIONS)
    check_unique(questions_path, "question id", (each.question_id for each in asked))
    check_unique(annotations_path, "question id", (each.question_id for each in answered))
    by_id = {each.question_id: each for each in answered}
    for question in asked:
        if question.question_id not in by_id:
            raise DataError(
                f"{annotations_path}: no answers to question {question.question_id} of {questions_path}; "
                "take both files from one split"
            )
    return [_item(question, by_id[question.question_id], folder) for question in asked]


def _item(question: _Question, annotation: _Annotation, folder: ImageFolder) -> QuestionItem:
    image = folder.image(question.image_id)
    return QuestionItem(question.question_id, image, question.question, annotation.texts, annotation.kind)
