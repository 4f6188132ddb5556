"""POPE (Li et al. 2023, arXiv 2305.10355): yes/no questions about objects that may not be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitloom.errors import DataError


@dataclass(frozen=True, slots=True)
class PopeScores:
    """Shares between 0 and 1, "yes" being the positive class; None where a share is of nothing.

    Precision needs an answer that is yes, recall a label that is yes, F1 both and one of them above 0.
    """

    accuracy: float
    precision: float | None
    recall: float | None
    f1: float | None
    yes_ratio: float
    per_sample: Mapping[str, bool]


def says_yes(answer: str) -> bool:
    """Whether an answer counts as yes: POPE's rule looks for a no in its first sentence, and only there."""
    words = answer.split(".")[0].replace(",", "").split(" ")
    return not any(word in ("No", "not", "no") for word in words)


def score_pope(predictions: Mapping[str, str], is_yes: Mapping[str, bool]) -> PopeScores:
    """Score answers by question id against labels; `per_sample` says which answers are right.

    DataError where there are no predictions, or one of a question without a label.
    """
    if not predictions:
        raise DataError("no POPE predictions to score: give at least one")
    unknown = [question_id for question_id in predictions if question_id not in is_yes]
    if unknown:
        raise DataError(
            f"{len(unknown)} predicted questions have no label, first {unknown[0]}: "
            "score predictions with the questions of their own split (random, popular or adversarial)"
        )
    answers = {question_id: says_yes(text) for question_id, text in predictions.items()}
    per_sample = {question_id: answer == is_yes[question_id] for question_id, answer in answers.items()}
    true_yes = sum(answers[question_id] and per_sample[question_id] for question_id in answers)
    precision = _share(true_yes, sum(answers.values()))
    recall = _share(true_yes, sum(is_yes[question_id] for question_id in answers))
    f1 = None
    if precision is not None and recall is not None and precision + recall > 0:
        f1 = 2 * precision * recall / (precision + recall)
    return PopeScores(
        accuracy=sum(per_sample.values()) / len(per_sample),
        precision=precision,
        recall=recall,
        f1=f1,
        yes_ratio=sum(answers.values()) / len(answers),
        per_sample=per_sample,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
