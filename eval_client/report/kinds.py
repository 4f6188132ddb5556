"""Scores by kind of question, with intervals clustered by image."""

from __future__ import annotations

from collections import defaultdict

from bitloom.results import Count, SampleScore, Task
from bitloom.schema import Schema
from eval_client.report.runs import ReportRun
from eval_client.stats import mean_interval, share_interval


class KindScore(Schema):
    """The mean of a score over the samples of one kind; no bounds where they are about a single image."""

    task: Task
    kind: str
    name: str
    value: float
    low: float | None
    high: float | None
    samples: Count


def scores_by_kind(run: ReportRun) -> list[KindScore]:
    """Every score of every kind of a run. Directions of retrieval are scores of their own, not kinds."""
    groups: dict[tuple[Task, str, str], list[SampleScore]] = defaultdict(list)
    for score in run.scores.values():
        if score.kind is not None and score.task != "retrieval":
            for name in score.scores:
                groups[score.task, name, score.kind].append(score)
    return [_mean(*key, groups[key], run.manifest.plan.seed) for key in sorted(groups)]


def _mean(task: Task, name: str, kind: str, scores: list[SampleScore], seed: int) -> KindScore:
    values = [score.scores[name] for score in scores]
    images = [score.image_id for score in scores]
    is_share = all(0 <= value <= 1 for value in values)
    bounds = (share_interval if is_share else mean_interval)(values, images, seed=seed)
    low, high = bounds or (None, None)
    mean = sum(values) / len(values)
    return KindScore(task=task, kind=kind, name=name, value=mean, low=low, high=high, samples=len(values))
