"""GQA accuracy (Hudson and Manning 2019): a prediction counts where it is the answer.

official    the GQA evaluation script: equal strings
llava       LLaVA's conversion before the script: lower case, full stops at the end dropped
lmms_eval   lmms-eval: case and punctuation ignored
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from bitloom.errors import DataError

GqaVariant = Literal["official", "llava", "lmms_eval"]
GQA_VARIANTS: tuple[GqaVariant, ...] = get_args(GqaVariant)

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class GqaScores:
    """Accuracy between 0 and 1, with the variant it is of; `per_sample` in the order of predictions."""

    variant: GqaVariant
    accuracy: float
    per_sample: Mapping[str, bool]


def is_exact_match(prediction: str, answer: str, variant: GqaVariant) -> bool:
    """Whether the prediction is the answer."""
    rewrite = _REWRITES[variant]
    if variant == "llava":
        return rewrite(prediction) == answer
    return rewrite(prediction) == rewrite(answer)


def score_gqa(predictions: Mapping[str, str], answers: Mapping[str, str], variant: GqaVariant) -> GqaScores:
    """Accuracy of `predictions` by question id; DataError where there are none or a question is unknown."""
    if not predictions:
        raise DataError("no GQA predictions to score: give at least one")
    unknown = [question_id for question_id in predictions if question_id not in answers]
    if unknown:
        raise DataError(
            f"{len(unknown)} predicted questions have no answer, first {unknown[0]}: "
            "score predictions with the questions of their own split"
        )
    per_sample = {
        question_id: is_exact_match(prediction, answers[question_id], variant)
        for question_id, prediction in predictions.items()
    }
    return GqaScores(variant, sum(per_sample.values()) / len(per_sample), per_sample)


def _unchanged(text: str) -> str:
    return text


def _lower_without_stop(text: str) -> str:
    return text.rstrip(".").lower()


def _lower_without_punctuation(text: str) -> str:
    return text.lower().translate(_NO_PUNCTUATION)


_REWRITES: Mapping[GqaVariant, Callable[[str], str]] = {
    "official": _unchanged,
    "llava": _lower_without_stop,
    "lmms_eval": _lower_without_punctuation,
}
