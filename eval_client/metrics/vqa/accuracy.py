"""VQA accuracy (Antol et al. 2015): an answer is right as far as three of the other humans gave it.

For each of the ten human answers, min(1, matches among the other nine / 3); the accuracy is their mean.
The variants differ in what is normalized before answers are compared:

    official    GT-Vision-Lab vqaEval: nothing, not even case, where all humans agree; else both sides
    lavis       LAVIS (BLIP-2): the prediction always; human answers lose only punctuation, and only
                where they differ
    lmms_eval   lmms-eval's vqav2 task: both sides, always
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bitloom.errors import DataError
from eval_client.metrics.vqa.answers import normalized, one_line, without_punctuation

VqaVariant = Literal["official", "lavis", "lmms_eval"]
VQA_VARIANTS: tuple[VqaVariant, ...] = get_args(VqaVariant)

_ENOUGH = 3


@dataclass(frozen=True, slots=True)
class HumanAnswers:
    """The human answers to one question, and the question's kinds where the data set names them."""

    answers: tuple[str, ...]
    question_type: str | None = None
    answer_type: str | None = None


@dataclass(frozen=True, slots=True)
class VqaScores:
    """Accuracies between 0 and 1, with the variant they are of; `per_sample` in the order of predictions."""

    variant: VqaVariant
    accuracy: float
    per_sample: Mapping[str, float]
    by_question_type: Mapping[str, float]
    by_answer_type: Mapping[str, float]


def vqa_accuracy(prediction: str, answers: Sequence[str], variant: VqaVariant) -> float:
    """Accuracy of one prediction. DataError where there are no answers, ValueError for an unknown variant."""
    if not answers:
        raise DataError("a question has no human answers: VQA accuracy needs at least one")
    prediction, compared = _comparable(prediction, answers, variant)
    matches = [answer == prediction for answer in compared]
    count = sum(matches)
    # "Other" answers are those at other places: equal answers of different people all count.
    shares = [min(1.0, (count - is_match) / _ENOUGH) for is_match in matches]
    return sum(shares) / len(shares)


def score_vqa(
    predictions: Mapping[str, str], questions: Mapping[str, HumanAnswers], variant: VqaVariant
) -> VqaScores:
    """Accuracies of `predictions` by question id; DataError where there are none or a question is unknown."""
    if not predictions:
        raise DataError("no VQA predictions to score: give at least one")
    per_sample: dict[str, float] = {}
    by_question_type: dict[str, list[float]] = {}
    by_answer_type: dict[str, list[float]] = {}
    for question_id, prediction in predictions.items():
        if question_id not in questions:
            raise DataError(
                f"question {question_id} is predicted but has no human answers: "
                "score predictions with the annotations of their own split"
            )
        human = questions[question_id]
        accuracy = per_sample[question_id] = vqa_accuracy(prediction, human.answers, variant)
        if human.question_type is not None:
            by_question_type.setdefault(human.question_type, []).append(accuracy)
        if human.answer_type is not None:
            by_answer_type.setdefault(human.answer_type, []).append(accuracy)
    return VqaScores(
        variant=variant,
        accuracy=_mean(list(per_sample.values())),
        per_sample=per_sample,
        by_question_type={kind: _mean(values) for kind, values in by_question_type.items()},
        by_answer_type={kind: _mean(values) for kind, values in by_answer_type.items()},
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _comparable(prediction: str, answers: Sequence[str], variant: VqaVariant) -> tuple[str, list[str]]:
    """Prediction and human answers as the variant compares them."""
    if variant == "official":
        return _official(prediction, answers)
    if variant == "lavis":
        return _lavis(prediction, answers)
    if variant == "lmms_eval":
        return _lmms_eval(prediction, answers)
    raise ValueError(f"unknown VQA variant {variant!r}: one of {', '.join(VQA_VARIANTS)}")


def _official(prediction: str, answers: Sequence[str]) -> tuple[str, list[str]]:
    prediction = one_line(prediction)
    human = [one_line(answer) for answer in answers]
    if len(set(human)) > 1:
        prediction = normalized(prediction)
        human = [normalized(answer) for answer in human]
    return prediction, human


def _lavis(prediction: str, answers: Sequence[str]) -> tuple[str, list[str]]:
    human = list(answers)
    if len(set(human)) > 1:
        human = [without_punctuation(answer) for answer in human]
    return normalized(one_line(prediction)), human


def _lmms_eval(prediction: str, answers: Sequence[str]) -> tuple[str, list[str]]:
    human = [normalized(one_line(answer), any_commas=True) for answer in answers]
    return normalized(one_line(prediction), any_commas=True), human
