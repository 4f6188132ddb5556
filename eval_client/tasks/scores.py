"""What scoring a task gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bitloom.results import SampleRecord, SampleScore, Score, Task
from eval_client.stats import mean_interval, share_interval


@dataclass(frozen=True, slots=True)
class TaskScores:
    """Scores of one or more tasks. `breakdown`: by task, then by kind of sample."""

    scores: tuple[Score, ...] = ()
    per_sample: tuple[SampleScore, ...] = ()
    breakdown: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def joined(parts: Iterable[TaskScores]) -> TaskScores:
    """The scores of several tasks as one."""
    whole = TaskScores()
    for part in parts:
        whole = TaskScores(
            whole.scores + part.scores,
            whole.per_sample + part.per_sample,
            {**whole.breakdown, **part.breakdown},
            whole.notes + part.notes,
        )
    return whole


def mean_score(task: Task, name: str, values: Sequence[float], images: Sequence[str], seed: int) -> Score:
    """The mean of some values (at least one) as a score, with its interval."""
    return _score(task, name, values, mean_interval(values, images, seed=seed))


def share_score(task: Task, name: str, values: Sequence[float], images: Sequence[str], seed: int) -> Score:
    """The mean of some values between 0 and 1 (at least one) as a score, with its interval."""
    return _score(task, name, values, share_interval(values, images, seed=seed))


def _score(task: Task, name: str, values: Sequence[float], bounds: tuple[float, float] | None) -> Score:
    low, high = bounds or (None, None)
    return Score(
        task=task, name=name, value=sum(values) / len(values), low=low, high=high, samples=len(values)
    )


def sample_score(record: SampleRecord, scores: Mapping[str, float]) -> SampleScore:
    """What one request scored."""
    return SampleScore(
        sample_id=record.sample_id,
        task=record.task,
        image_id=record.image_id,
        kind=record.kind,
        scores=dict(scores),
    )
