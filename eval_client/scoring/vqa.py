"""VQA format: questions and annotations apart, predictions as `{question_id, answer}`."""

from __future__ import annotations

from pathlib import Path

from bitloom.errors import DataError
from eval_client.metrics.vqa import HumanAnswers, VqaVariant, score_vqa
from eval_client.scoring.records import Record, RecordId, by_id, check_same_ids, parse_records, read_document
from eval_client.scoring.result import FileScores

EXPECTED_QUESTIONS = "the VQA questions format: {'questions': [{'question_id'}]}"
EXPECTED_ANNOTATIONS = (
    "the VQA annotations format: {'annotations': [{'question_id', 'answers': [{'answer'}]}]}"
)
EXPECTED_PREDICTIONS = "a list of {'question_id', 'answer'}, one for each question"


class _Question(Record):
    question_id: RecordId


class _Answer(Record):
    answer: str


class _Annotation(Record):
    question_id: RecordId
    answers: list[_Answer]
    question_type: str | None = None
    answer_type: str | None = None


class _Prediction(Record):
    question_id: RecordId
    answer: str


def score_vqa_files(
    questions_path: Path,
    annotations_path: Path,
    predictions_path: Path,
    variant: VqaVariant,
    *,
    is_partial: bool = False,
) -> FileScores:
    """Score a results file against human answers. Raises DataError."""
    questions = _read_questions(questions_path)
    annotations = _read_annotations(annotations_path)
    predictions = _read_predictions(predictions_path)
    check_same_ids(
        predictions_path, predictions, questions_path, questions, what="question", is_partial=is_partial
    )
    ids = {key: question_id for key, question_id in questions.items() if key in predictions}
    for key in ids:
        if key not in annotations:
            raise DataError(
                f"{annotations_path}: no answers to question {key} of {questions_path}; "
                "expected answers to each: take both files from one split"
            )
    scores = score_vqa({key: predictions[key] for key in ids}, annotations, variant)
    groups = {"question_type": scores.by_question_type, "answer_type": scores.by_answer_type}
    return FileScores(
        task="vqa",
        samples=len(ids),
        scores={"accuracy": scores.accuracy},
        per_sample=[
            {"question_id": ids[key], "accuracy": accuracy} for key, accuracy in scores.per_sample.items()
        ],
        variant=scores.variant,
        groups={name: dict(means) for name, means in groups.items() if means},
    )


def _read_questions(path: Path) -> dict[str, RecordId]:
    document = read_document(path, EXPECTED_QUESTIONS)
    if not isinstance(document, dict) or "questions" not in document:
        raise DataError(f"{path}: no questions in it; expected {EXPECTED_QUESTIONS}")
    questions = parse_records(
        path, _Question, document["questions"], id_field="question_id", expected=EXPECTED_QUESTIONS
    )
    return by_id(path, "question", ((each.question_id, each.question_id) for each in questions))


def _read_annotations(path: Path) -> dict[str, HumanAnswers]:
    document = read_document(path, EXPECTED_ANNOTATIONS)
    if not isinstance(document, dict) or "annotations" not in document:
        raise DataError(f"{path}: no annotations in it; expected {EXPECTED_ANNOTATIONS}")
    annotations = parse_records(
        path, _Annotation, document["annotations"], id_field="question_id", expected=EXPECTED_ANNOTATIONS
    )
    for each in annotations:
        if not each.answers:
            raise DataError(f"{path}: question {each.question_id} has no answers; expected at least one")
    return by_id(path, "question", ((each.question_id, _human(each)) for each in annotations))


def _human(annotation: _Annotation) -> HumanAnswers:
    answers = tuple(each.answer for each in annotation.answers)
    return HumanAnswers(answers, annotation.question_type, annotation.answer_type)


def _read_predictions(path: Path) -> dict[str, str]:
    records = read_document(path, EXPECTED_PREDICTIONS)
    predictions = parse_records(
        path, _Prediction, records, id_field="question_id", expected=EXPECTED_PREDICTIONS
    )
    return by_id(path, "question", ((each.question_id, each.answer) for each in predictions))
