"""POPE: questions and answers as JSON lines, answers by question id or in the order of the questions."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bitloom.errors import DataError
from eval_client.metrics.pope import score_pope
from eval_client.scoring.records import Record, RecordId, by_id, check_same_ids, parse_records, read_document
from eval_client.scoring.result import FileScores

EXPECTED_QUESTIONS = "lines of {'question_id', 'label': 'yes' or 'no'}"
EXPECTED_PREDICTIONS = (
    "lines of {'question_id', 'answer'} (or 'text'), or of {'answer'} in the order of the questions"
)


class _Question(Record):
    question_id: RecordId
    label: Literal["yes", "no"]


class _Prediction(Record):
    question_id: RecordId | None = None
    answer: str | None = None
    text: str | None = None


def score_pope_files(questions_path: Path, predictions_path: Path, *, is_partial: bool = False) -> FileScores:
    """Score a file of answers. Raises DataError."""
    questions = parse_records(
        questions_path,
        _Question,
        _as_list(read_document(questions_path, EXPECTED_QUESTIONS)),
        id_field="question_id",
        expected=EXPECTED_QUESTIONS,
    )
    ids = by_id(questions_path, "question", ((each.question_id, each.question_id) for each in questions))
    predictions = _read_predictions(predictions_path, list(ids))
    check_same_ids(predictions_path, predictions, questions_path, ids, what="question", is_partial=is_partial)
    labels = {key: each.label == "yes" for key, each in zip(ids, questions, strict=True)}
    scores = score_pope({key: predictions[key] for key in ids if key in predictions}, labels)
    return FileScores(
        task="pope",
        samples=len(scores.per_sample),
        scores={
            "accuracy": scores.accuracy,
            "precision": scores.precision,
            "recall": scores.recall,
            "f1": scores.f1,
            "yes_ratio": scores.yes_ratio,
        },
        per_sample=[
            {"question_id": ids[key], "accuracy": float(is_right)}
            for key, is_right in scores.per_sample.items()
        ],
    )


def _as_list(document: object) -> object:
    """A file with one line is one object."""
    return [document] if isinstance(document, dict) else document


def _read_predictions(path: Path, question_keys: list[str]) -> dict[str, str]:
    records = _as_list(read_document(path, EXPECTED_PREDICTIONS))
    predictions = parse_records(
        path, _Prediction, records, id_field="question_id", expected=EXPECTED_PREDICTIONS
    )
    texts = [_text(path, number, each) for number, each in enumerate(predictions)]
    ids = [each.question_id for each in predictions if each.question_id is not None]
    if len(ids) == len(predictions):
        return by_id(path, "question", zip(ids, texts, strict=True))
    if ids or len(predictions) != len(question_keys):
        raise DataError(
            f"{path}: {len(predictions)} answers, {len(ids)} of them with an id, to {len(question_keys)} "
            "questions; expected an id in every line, or in none and a line for each question: "
            "add 'question_id'"
        )
    return dict(zip(question_keys, texts, strict=True))


def _text(path: Path, number: int, prediction: _Prediction) -> str:
    text = prediction.text if prediction.answer is None else prediction.answer
    if text is None:
        named = "" if prediction.question_id is None else f" (question_id {prediction.question_id!r})"
        raise DataError(f"{path}: record {number}{named}: no answer in it; expected {EXPECTED_PREDICTIONS}")
    return text
