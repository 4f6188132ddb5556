"""Scores of a run's answers to questions: VQA accuracy in the run's variant, GQA's exact match, or POPE's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

from bitloom.results import SampleRecord, Score
from eval_client.metrics.gqa import GqaVariant, is_exact_match
from eval_client.metrics.pope import PopeScores, score_pope
from eval_client.metrics.vqa import VqaVariant, vqa_accuracy
from eval_client.tasks.scores import TaskScores, sample_score, share_score

NAME, GQA_NAME, POPE_NAME = "vqa_accuracy", "gqa_accuracy", "pope_accuracy"


def score_questions(records: Sequence[SampleRecord], variant: VqaVariant, seed: int) -> TaskScores:
    """Accuracy over the answered questions, and by kind of question.

    Records name their scorer; `variant` is that of VQA accuracy. POPE has precision, recall, F1 and the
    share of yes besides, which are no means over samples and have no interval.
    """
    answered = [record for record in records if record.answer is not None]
    if not answered:
        return TaskScores(notes=("questions not scored: no request was answered",))
    scorer = answered[0].scorer or ""
    others: tuple[Score, ...] = ()
    if scorer.startswith("gqa:"):
        name, gqa_variant = GQA_NAME, cast(GqaVariant, scorer.removeprefix("gqa:"))
        values = [float(is_exact_match(_text(each), each.references[0], gqa_variant)) for each in answered]
    elif scorer == "pope":
        name, pope = POPE_NAME, _pope(answered)
        values = [float(is_right) for is_right in pope.per_sample.values()]
        others = _shares(pope, len(values))
    else:
        name = NAME
        values = [vqa_accuracy(_text(each), each.references, variant) for each in answered]
    return TaskScores(
        scores=(
            share_score("vqa", name, values, [record.image_id for record in answered], seed),
            *others,
        ),
        per_sample=tuple(
            sample_score(record, {name: value}) for record, value in zip(answered, values, strict=True)
        ),
        breakdown={"vqa": _by_kind(answered, values)},
    )


def _text(record: SampleRecord) -> str:
    return (record.answer or "").strip()


def _pope(answered: Sequence[SampleRecord]) -> PopeScores:
    return score_pope(
        {record.sample_id: _text(record) for record in answered},
        {record.sample_id: record.references[0] == "yes" for record in answered},
    )


def _shares(pope: PopeScores, samples: int) -> tuple[Score, ...]:
    """POPE's other figures; one that is a share of nothing is left out."""
    figures = {
        "pope_precision": pope.precision,
        "pope_recall": pope.recall,
        "pope_f1": pope.f1,
        "pope_yes_ratio": pope.yes_ratio,
    }
    return tuple(
        Score(task="vqa", name=name, value=value, samples=samples)
        for name, value in figures.items()
        if value is not None
    )


def _by_kind(answered: Sequence[SampleRecord], values: Sequence[float]) -> dict[str, float]:
    by_kind: dict[str, list[float]] = defaultdict(list)
    for record, value in zip(answered, values, strict=True):
        if record.kind is not None:
            by_kind[record.kind].append(value)
    return {kind: sum(each) / len(each) for kind, each in sorted(by_kind.items())}
