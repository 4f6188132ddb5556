"""Runs a recipe: stages, steps, checkpoints, validation; and goes on where an earlier run stopped."""

import logging
import time
from collections import Counter, deque
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.nn.functional import cross_entropy

from zoo.train.blip2 import Blip2Student
from zoo.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from zoo.train.lessons import Lessons, draw_exchanges, load_lessons
from zoo.train.llava import LlavaStudent
from zoo.train.optimizer import StageOptimizer
from zoo.train.packing import IGNORED, Exchange, Packer
from zoo.train.settings import Family, Recipe, Stage
from zoo.train.student import Student, View, normalized
from zoo.train.tokenizer import build_tokenizer

logger = logging.getLogger(__name__)

_LOG_EVERY = 20


def new_student(family: Family) -> Student:
    """A freshly initialised model of a family."""
    return LlavaStudent() if family == "llava" else Blip2Student()


def train(recipe: Recipe, checkpoint: Path) -> Student:
    """Train from the checkpoint if the file is there, else from scratch; the checkpoint follows the progress.

    Raises CheckpointError where the checkpoint is of another recipe.
    """
    torch.manual_seed(recipe.seed)
    student = new_student(recipe.family)
    done = load_checkpoint(checkpoint, recipe, student)
    if done.stage == len(recipe.stages):
        return student
    lessons = load_lessons("train", recipe.scenes)
    exam = load_lessons("validation", recipe.validation_scenes)
    packer = Packer(build_tokenizer(), student.prompts, student.image_tokens)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        for number, stage in enumerate(recipe.stages):
            if number < done.stage:
                continue
            first = done.step if number == done.stage else 0
            run = StageRun(recipe, number, student, packer, lessons, exam)
            if number == done.stage and done.optimizer is not None:
                run.optimizer.load_state_dict(done.optimizer)
            task = progress.add_task(f"{recipe.family} {stage.name}", total=stage.steps, completed=first)
            for step in range(first, stage.steps):
                run.step(step)
                progress.advance(task)
                if (step + 1) % recipe.save_every == 0 or step + 1 == stage.steps:
                    save_checkpoint(checkpoint, recipe, student, run.progress(step + 1))
    return student


class StageRun:
    """One stage: its optimizer, and what a step of it is."""

    def __init__(
        self, recipe: Recipe, number: int, student: Student, packer: Packer, lessons: Lessons, exam: Lessons
    ) -> None:
        self._recipe, self._number, self._stage = recipe, number, recipe.stages[number]
        self._student, self._packer = student, packer
        self._lessons, self._exam = lessons, exam
        self.optimizer = _stage_optimizer(self._stage, student, recipe.weight_decay)
        self._started = time.monotonic()
        self._losses: deque[float] = deque(maxlen=_LOG_EVERY)

    def progress(self, steps_done: int) -> Checkpoint:
        """Where the training stands after so many steps of this stage."""
        if steps_done == self._stage.steps:
            return Checkpoint(self._number + 1, 0, None)
        return Checkpoint(self._number, steps_done, self.optimizer.state_dict())

    def step(self, number: int) -> None:
        """One batch: a pure function of recipe, stage, step and weights."""
        rng = np.random.default_rng((self._recipe.seed, self._number, number))
        rows = rng.choice(len(self._lessons.scenes), self._stage.batch, replace=False)
        pixels, labels = normalized(self._lessons.images[rows]), self._lessons.labels[rows]
        views = self._student.look(pixels, self._stage.views)
        probed = [
            probe(view.tokens, view.summary, labels)
            for probe, view in zip(self._student.probes, views, strict=False)
        ]
        loss = seeing = torch.stack([loss for loss, _ in probed]).sum()
        if self._stage.has_language:
            saying = self._language_loss(rows, views[-1], rng)
            loss = saying + self._recipe.attribute_weight * seeing
            self._losses.append(saying.item())
        torch.autograd.backward(loss)
        self.optimizer.step(number)
        if (number + 1) % _LOG_EVERY == 0 or number == 0:
            self._log(number, seeing.item(), [hits for _, hits in probed])
        if self._stage.has_language and (number + 1) % self._recipe.validate_every == 0:
            logger.info("validation %s", validation_accuracy(self._student, self._packer, self._exam))

    def _language_loss(
        self, rows: npt.NDArray[np.int64], view: View, rng: np.random.Generator
    ) -> torch.Tensor:
        scenes = [self._lessons.scenes[row] for row in rows]
        exchanges = [draw_exchanges(scene, self._student.prompts, rng) for scene in scenes]
        packed = self._packer.pack(exchanges, self._recipe.row_tokens)
        is_answer = packed.labels != IGNORED
        scores = self._student.logits(self._student.read(view, packed)[is_answer])
        losses = cross_entropy(scores, packed.labels[is_answer], reduction="none")
        weights = packed.weights[is_answer]
        return (losses * weights).sum() / weights.sum()

    def _log(self, number: int, seeing: float, hits: list[float]) -> None:
        read = " ".join(f"{share:.3f}" for share in hits)
        saying = f", saying {sum(self._losses) / len(self._losses):.4f}" if self._losses else ""
        progress = f"{self._stage.name} {number + 1}/{self._stage.steps}"
        elapsed_s = time.monotonic() - self._started
        logger.info("%s: seeing %.3f, shapes read %s%s, %.0f s", progress, seeing, read, saying, elapsed_s)


@torch.no_grad()
def validation_accuracy(student: Student, packer: Packer, exam: Lessons, batch: int = 50) -> dict[str, float]:
    """Share of the exam's questions whose every answer token is the most likely one; by kind, and in all."""
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for start in range(0, len(exam.scenes), batch):
        scenes = exam.scenes[start : start + batch]
        questions = [scene.questions() for scene in scenes]
        packed = packer.pack(
            [[Exchange(student.prompts.prompt(each.text), each.answer) for each in row] for row in questions]
        )
        view = student.look(normalized(exam.images[start : start + batch]), len(student.probes))[-1]
        tokens = student.logits(student.read(view, packed)).argmax(-1)
        is_right = (tokens == packed.labels) | (packed.labels == IGNORED)
        for row, row_questions in enumerate(questions):
            for number, question in enumerate(row_questions, start=1):
                asked[question.kind] += 1
                right[question.kind] += bool(is_right[row][packed.segments[row] == number].all())
    by_kind = {kind: round(right[kind] / asked[kind], 3) for kind in sorted(asked)}
    return {"all": round(right.total() / asked.total(), 4)} | by_kind


def _stage_optimizer(stage: Stage, student: Student, decay: float) -> StageOptimizer:
    others = list(student.query_former) if stage.views > 1 else []
    if stage.has_language:
        others += student.language
    probes = torch.nn.ModuleList(student.probes[: stage.views])
    return StageOptimizer(stage, torch.nn.ModuleList([student.vision, probes]), others, decay)
