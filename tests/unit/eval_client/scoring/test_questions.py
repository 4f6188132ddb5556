"""VQA, GQA and POPE files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitloom.errors import DataError
from eval_client.scoring.gqa import score_gqa_files
from eval_client.scoring.pope import score_pope_files
from eval_client.scoring.vqa import score_vqa_files

Write = Callable[[str, Any], Path]

QUESTIONS = {"questions": [{"question_id": 1}, {"question_id": 2}]}
ANNOTATIONS = {
    "annotations": [
        {
            "question_id": 2,
            "answers": [{"answer": "yes"}] * 10,
            "question_type": "is",
            "answer_type": "yes/no",
        },
        {
            "question_id": 1,
            "answers": [{"answer": "cat"}] * 4 + [{"answer": "dog"}] * 6,
            "answer_type": "other",
        },
    ]
}
ANSWERS = [{"question_id": 2, "answer": "Yes"}, {"question_id": 1, "answer": "The cat"}]

GQA = {"a": {"answer": "yes", "isBalanced": True}, "b": {"answer": "red", "isBalanced": False}}
POPE = [{"question_id": 1, "label": "yes"}, {"question_id": 2, "label": "no"}]


def _vqa(write: Write, questions: Any, annotations: Any, answers: Any, **options: Any) -> Any:
    return score_vqa_files(
        write("questions.json", questions),
        write("annotations.json", annotations),
        write("answers.json", answers),
        options.pop("variant", "official"),
        **options,
    )


def test_vqa(write: Write) -> None:
    official = _vqa(write, QUESTIONS, ANNOTATIONS, ANSWERS)
    assert official.variant == "official"
    assert official.scores == {"accuracy": 0.5}
    assert official.per_sample == [{"question_id": 1, "accuracy": 1.0}, {"question_id": 2, "accuracy": 0.0}]
    assert official.groups == {"question_type": {"is": 0.0}, "answer_type": {"other": 1.0, "yes/no": 0.0}}
    assert _vqa(write, QUESTIONS, ANNOTATIONS, ANSWERS, variant="lavis").scores == {"accuracy": 1.0}
    assert _vqa(write, QUESTIONS, ANNOTATIONS, ANSWERS[:1], is_partial=True).samples == 1


@pytest.mark.parametrize(
    ("questions", "annotations", "answers", "message"),
    [
        (
            QUESTIONS,
            ANNOTATIONS,
            ANSWERS[:1],
            r"answers.json: no prediction for question 1 of .*questions.json",
        ),
        (QUESTIONS, ANNOTATIONS, [*ANSWERS, ANSWERS[0]], r"answers.json: question 2 comes twice"),
        (
            QUESTIONS,
            {"annotations": ANNOTATIONS["annotations"][:1]},
            ANSWERS,
            r"annotations.json: no answers to question 1",
        ),
        ({"x": 1}, ANNOTATIONS, ANSWERS, r"questions.json: no questions in it; expected the VQA questions"),
        (QUESTIONS, {"x": 1}, ANSWERS, r"annotations.json: no annotations in it; expected"),
        (QUESTIONS, ANNOTATIONS, [{"question_id": 2, "answer": None}], r"record 0 \(question_id 2\): answer"),
        (
            QUESTIONS,
            {"annotations": [{"question_id": 1, "answers": []}]},
            ANSWERS,
            r"question 1 has no answers",
        ),
    ],
)
def test_vqa_bad_input(write: Write, questions: Any, annotations: Any, answers: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _vqa(write, questions, annotations, answers)


def test_gqa_scores_the_balanced_split(write: Write) -> None:
    questions = write("questions.json", GQA)
    both = write(
        "both.json", [{"questionId": "a", "prediction": "yes"}, {"questionId": "b", "prediction": "x"}]
    )
    balanced = score_gqa_files(questions, both, "official")
    assert (balanced.samples, balanced.scores, balanced.variant) == (1, {"accuracy": 1.0}, "official")
    assert score_gqa_files(questions, both, "official", is_balanced=False).scores == {"accuracy": 0.5}
    with pytest.raises(DataError, match="no prediction for question a"):
        score_gqa_files(questions, write("b.json", [{"questionId": "b", "prediction": "x"}]), "official")
    with pytest.raises(DataError, match="question a: answer: Input should be a valid string"):
        score_gqa_files(write("bad.json", {"a": {"answer": 1}}), both, "official")


def test_pope_by_id_and_by_order(write: Write) -> None:
    questions = write("questions.jsonl", POPE)
    by_id = [{"question_id": 2, "answer": "No."}, {"question_id": 1, "text": "yes"}]
    scores = score_pope_files(questions, write("by_id.jsonl", by_id))
    assert scores.scores == {"accuracy": 1.0, "precision": 1.0, "recall": 1.0, "f1": 1.0, "yes_ratio": 0.5}
    by_order = [{"question": "?", "answer": "no"}, {"question": "?", "answer": "no"}]
    scores = score_pope_files(questions, write("by_order.jsonl", by_order))
    assert scores.scores["accuracy"] == 0.5
    assert scores.scores["precision"] is None


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([{"answer": "no"}], r"1 answers, 0 of them with an id, to 2 questions"),
        ([{"answer": "no"}, {"answer": "no", "question_id": 1}], r"1 of them with an id"),
        (
            [{"question_id": 1}, {"question_id": 2, "text": "no"}],
            r"record 0 \(question_id 1\): no answer in it",
        ),
        ([{"question_id": 1, "text": "no"}], r"no prediction for question 2"),
    ],
)
def test_pope_bad_input(write: Write, answers: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        score_pope_files(write("questions.jsonl", POPE), write("answers.jsonl", answers))
