"""VQA accuracy of a run's answers, in the variant that the run names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from bitloom.results import SampleRecord
from eval_client.metrics.vqa import VqaVariant, vqa_accuracy
from eval_client.tasks.scores import TaskScores, sample_score, share_score

NAME = "vqa_accuracy"


def score_questions(records: Sequence[SampleRecord], variant: VqaVariant, seed: int) -> TaskScores:
    """Accuracy over the answered questions, and by kind of question."""
    answered = [record for record in records if record.answer is not None]
    if not answered:
        return TaskScores(notes=("questions not scored: no request was answered",))
    values = [vqa_accuracy((record.answer or "").strip(), record.references, variant) for record in answered]
    by_kind: dict[str, list[float]] = defaultdict(list)
    for record, value in zip(answered, values, strict=True):
        if record.kind is not None:
            by_kind[record.kind].append(value)
    return TaskScores(
        scores=(share_score("vqa", NAME, values, [record.image_id for record in answered], seed),),
        per_sample=tuple(
            sample_score(record, {NAME: value}) for record, value in zip(answered, values, strict=True)
        ),
        breakdown={"vqa": {kind: sum(each) / len(each) for kind, each in sorted(by_kind.items())}},
    )
