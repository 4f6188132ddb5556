"""What both runs scored, metric by metric, over the samples that both have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitloom.results import SampleScore, Task
from eval_client.compare.pairing import PairedRuns
from eval_client.report.runs import ReportRun
from eval_client.stats import Array
from eval_client.stats.bootstrap import image_sums

BLEU = "Bleu_"
_PRIMARY = ("CIDEr", "text_to_image_R@1", "vqa_accuracy")
_UNBOUNDED = {"CIDEr"}
_CLOSE = 1e-9


@dataclass(frozen=True, slots=True)
class PairedValues:
    """One metric of the samples that both runs scored; row i of everything is the same sample."""

    task: Task
    name: str
    is_primary: bool
    sample_ids: tuple[str, ...]
    images: tuple[str, ...]
    a: Array
    b: Array

    @property
    def is_binary(self) -> bool:
        """Whether every score is 0 or 1."""
        return self.name not in _UNBOUNDED and bool(
            np.isin(self.a, (0, 1)).all() and np.isin(self.b, (0, 1)).all()
        )

    @property
    def scale(self) -> float:
        """What a sample can lose: 1, and for a score without such a bound the mean of the better run."""
        if self.name not in _UNBOUNDED:
            return 1.0
        return max(float(self.a.mean()), float(self.b.mean())) or 1.0

    def by_image(self) -> tuple[Array, Array, Array]:
        """Sums of A, sums of B, and samples: each [images]."""
        sums = image_sums(np.stack([self.a, self.b, np.ones(len(self.a))], axis=1), self.images)
        return sums[:, 0], sums[:, 1], sums[:, 2]


def paired_values(runs: PairedRuns) -> tuple[list[PairedValues], list[str]]:
    """Every metric that both runs have over at least two images, and notes about those left out.

    A task's primary metric comes first: CIDEr, text to image R@1, accuracy, or the first the task has.
    """
    values: list[PairedValues] = []
    notes: list[str] = []
    for task in runs.a.manifest.plan.tasks:
        is_primary = True
        for name in _names(task, runs):
            if not name.startswith(BLEU) and not all(_is_mean(name, run) for run in (runs.a, runs.b)):
                notes.append(f"{name} is not compared: it is no mean over samples")
                continue
            both = _values(task, name, is_primary, runs.a.scores, runs.b.scores)
            if len(set(both.images)) < 2:
                notes.append(f"{name} is not compared: both runs scored it on fewer than two images")
                continue
            values.append(both)
            is_primary = False
    return values, notes


def _names(task: Task, runs: PairedRuns) -> list[str]:
    """Metrics of a task in both runs, the primary one first."""
    by_run = [
        dict.fromkeys(name for score in run.scores.values() if score.task == task for name in score.scores)
        for run in (runs.a, runs.b)
    ]
    shared = [name for name in by_run[0] if name in by_run[1]]
    return sorted(shared, key=lambda name: name not in _PRIMARY)


def _is_mean(name: str, run: ReportRun) -> bool:
    """Whether the run's figure of that name is the mean of its samples' scores."""
    figure = run.manifest.score(name)
    scores = [score.scores[name] for score in run.scores.values() if name in score.scores]
    return figure is not None and math.isclose(
        math.fsum(scores) / len(scores), figure.value, rel_tol=_CLOSE, abs_tol=_CLOSE
    )


def _values(
    task: Task, name: str, is_primary: bool, a: Mapping[str, SampleScore], b: Mapping[str, SampleScore]
) -> PairedValues:
    shared = list(_shared(task, name, a, b))
    return PairedValues(
        task=task,
        name=name,
        is_primary=is_primary,
        sample_ids=tuple(score.sample_id for score in shared),
        images=tuple(score.image_id for score in shared),
        a=_column(name, shared),
        b=_column(name, [b[score.sample_id] for score in shared]),
    )


def _shared(
    task: Task, name: str, a: Mapping[str, SampleScore], b: Mapping[str, SampleScore]
) -> Iterator[SampleScore]:
    for sample_id, score in a.items():
        if score.task == task and name in score.scores and name in getattr(b.get(sample_id), "scores", {}):
            yield score


def _column(name: str, scores: Sequence[SampleScore]) -> Array:
    return np.array([score.scores[name] for score in scores], dtype=np.float64)
