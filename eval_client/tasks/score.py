"""From the records of a run to its scores, with intervals clustered by image.

A failed request is in no score: not as a wrong answer, not as an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bitloom.results import SampleRecord, Task
from eval_client.metrics.vqa import VqaVariant
from eval_client.tasks.score_captions import score_captions
from eval_client.tasks.score_retrieval import score_pairs
from eval_client.tasks.score_vqa import score_questions
from eval_client.tasks.scores import TaskScores, joined


def score_records(records: Sequence[SampleRecord], vqa_variant: VqaVariant, seed: int) -> TaskScores:
    """Scores of every task that the records are of.

    Args:
        records: the last record of each sample.
        vqa_variant: which accuracy of questions is meant.
        seed: of the bootstrap.
    """
    scorers: dict[Task, Callable[[Sequence[SampleRecord]], TaskScores]] = {
        "caption": lambda own: score_captions(own, seed),
        "retrieval": lambda own: score_pairs(own, seed),
        "vqa": lambda own: score_questions(own, vqa_variant, seed),
    }
    by_task = {task: [record for record in records if record.task == task] for task in scorers}
    return joined(scorers[task](own) for task, own in by_task.items() if own)
