"""Samples worth looking at: pictures with every run's answer beside the reference."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bitloom.errors import DataError
from bitloom.results import RunPlan, SampleRecord, Task
from eval_client.datasets import Limits, load_dataset
from eval_client.images import EncodedImage, ImageSource
from eval_client.report.runs import ReportRun

METRICS: dict[Task, str] = {"caption": "CIDEr", "vqa": "vqa_accuracy"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one run answered, and what it scored."""

    run: str
    text: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Example:
    """A sample that all runs were asked. `image` is None where the picture can no longer be read."""

    sample_id: str
    task: Task
    image_id: str
    image_sha256: str
    image: EncodedImage | None
    prompt: str
    references: tuple[str, ...]
    answers: tuple[Answer, ...]

    @property
    def disagreement(self) -> float:
        """Best minus worst score of the runs."""
        scores = [answer.score for answer in self.answers if answer.score is not None]
        return max(scores) - min(scores) if scores else 0.0


def count_disagreements(runs: Sequence[ReportRun], task: Task) -> tuple[int, int]:
    """On how many samples the runs' scores differ, and how many all runs scored."""
    metric = _metric(runs, task)
    by_run = [
        {name: each.scores[metric] for name, each in run.scores.items() if metric in each.scores}
        for run in runs
    ]
    shared = set.intersection(*(set(scores) for scores in by_run))
    return sum(len({scores[name] for scores in by_run}) > 1 for name in shared), len(shared)


def choose_examples(runs: Sequence[ReportRun], *, disputed: int, typical: int) -> list[Example]:
    """Of captions and of questions each: those where the runs' scores differ most, then the first others.

    Every picture is shown once at most for either: what runs disagree about is often one crowded image.
    """
    images = _images(runs[0].manifest.plan)
    chosen: list[Example] = []
    for task in METRICS:
        shared = [
            record
            for record in runs[0].answers.values()
            if record.task == task and all(record.sample_id in run.answers for run in runs)
        ]
        metric = _metric(runs, task)
        examples = [
            _example(record, runs, metric) for record in sorted(shared, key=lambda each: each.sample_id)
        ]
        differing = [each for each in examples if each.disagreement > 0]
        differing.sort(key=lambda example: -example.disagreement)
        seen: set[str] = set()
        first = _of_new_images(differing, disputed, seen)
        chosen += first + _of_new_images(examples, disputed + typical - len(first), seen)
    return [replace(example, image=_picture(example, images)) for example in chosen]


def _of_new_images(examples: Sequence[Example], count: int, seen: set[str]) -> list[Example]:
    """The first `count` examples of images not seen yet; marks them as seen."""
    chosen: list[Example] = []
    for example in examples:
        if len(chosen) < count and example.image_id not in seen:
            seen.add(example.image_id)
            chosen.append(example)
    return chosen


def _metric(runs: Sequence[ReportRun], task: Task) -> str:
    """The score that tells answers of a task apart: the usual one, or else the first that the runs have."""
    names = dict.fromkeys(score.name for run in runs for score in run.manifest.scores if score.task == task)
    return METRICS[task] if METRICS[task] in names else next(iter(names), METRICS[task])


def _example(record: SampleRecord, runs: Sequence[ReportRun], metric: str) -> Example:
    return Example(
        sample_id=record.sample_id,
        task=record.task,
        image_id=record.image_id,
        image_sha256=record.image_sha256,
        image=None,
        prompt=record.prompt,
        references=tuple(dict.fromkeys(record.references)),
        answers=tuple(_answer(run, record.sample_id, metric) for run in runs),
    )


def _answer(run: ReportRun, sample_id: str, metric: str) -> Answer:
    record, score = run.answers[sample_id], run.scores.get(sample_id)
    text = record.answer if record.answer is not None else f"failed: {record.error}"
    return Answer(run.name, text.strip(" "), None if score is None else score.scores.get(metric))


def _picture(example: Example, images: Mapping[str, ImageSource]) -> EncodedImage | None:
    """The picture that was sent: None where it is gone or has changed since."""
    source = images.get(example.image_id)
    if source is None:
        return None
    try:
        image = source.read()
    except DataError as exc:
        _log.warning("no picture of %s: %s", example.sample_id, exc)
        return None
    return image if image.sha256 == example.image_sha256 else None


def _images(plan: RunPlan) -> Mapping[str, ImageSource]:
    """Images of the data set, where it can still be read."""
    try:
        return load_dataset(plan.dataset, Limits(**plan.limits)).images()
    except DataError as exc:
        _log.warning("the report has no pictures: %s", exc)
        return {}
