"""GQA: questions as an object by question id, predictions as `{questionId, prediction}`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from bitloom.errors import DataError
from bitloom.schema import describe
from eval_client.metrics.gqa import GqaVariant, score_gqa
from eval_client.scoring.records import Record, RecordId, by_id, check_same_ids, parse_records, read_document
from eval_client.scoring.result import FileScores

EXPECTED_QUESTIONS = "the GQA questions format: {question id: {'answer', 'isBalanced'}}"
EXPECTED_PREDICTIONS = "a list of {'questionId', 'prediction'}, one for each question"


class _Question(Record):
    answer: str
    is_balanced: bool = Field(default=True, alias="isBalanced")


class _Prediction(Record):
    question_id: RecordId = Field(alias="questionId")
    prediction: str


def score_gqa_files(
    questions_path: Path,
    predictions_path: Path,
    variant: GqaVariant,
    *,
    is_balanced: bool = True,
    is_partial: bool = False,
) -> FileScores:
    """Score a results file on the balanced questions, or on all of them. Raises DataError.

    Predictions of questions outside the balanced split are passed over.
    """
    questions = _read_questions(questions_path)
    predictions = _read_predictions(predictions_path)
    check_same_ids(predictions_path, predictions, questions_path, questions, what="question", is_partial=True)
    answers = {key: each.answer for key, each in questions.items() if each.is_balanced or not is_balanced}
    if not answers:
        raise DataError(f"{questions_path}: no balanced question in it; expected some: score all with --all")
    chosen = {key: predictions[key] for key in answers if key in predictions}
    check_same_ids(predictions_path, chosen, questions_path, answers, what="question", is_partial=is_partial)
    scores = score_gqa(chosen, answers, variant)
    return FileScores(
        task="gqa",
        samples=len(chosen),
        scores={"accuracy": scores.accuracy},
        per_sample=[
            {"question_id": key, "accuracy": float(is_right)} for key, is_right in scores.per_sample.items()
        ],
        variant=scores.variant,
    )


def _read_questions(path: Path) -> dict[str, _Question]:
    document = read_document(path, EXPECTED_QUESTIONS)
    if not isinstance(document, dict) or not document:
        raise DataError(f"{path}: no questions in it; expected {EXPECTED_QUESTIONS}")
    questions = {}
    for question_id, record in document.items():
        try:
            questions[question_id] = _Question.model_validate(record)
        except ValidationError as exc:
            fault = describe(exc).split("; ")[0]
            raise DataError(
                f"{path}: question {question_id}: {fault}; expected {EXPECTED_QUESTIONS}"
            ) from exc
    return questions


def _read_predictions(path: Path) -> dict[str, str]:
    records = read_document(path, EXPECTED_PREDICTIONS)
    predictions = parse_records(
        path, _Prediction, records, id_field="questionId", expected=EXPECTED_PREDICTIONS
    )
    return by_id(path, "question", ((each.question_id, each.prediction) for each in predictions))
