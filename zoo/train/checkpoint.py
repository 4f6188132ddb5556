"""Checkpoints of a training: written to a sibling file, flushed, and renamed into place."""

import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bitloom.errors import BitloomError, CheckpointError
from bitloom.files import fsync_file
from zoo.train.settings import Recipe
from zoo.train.student import Student


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a training stands: so many whole stages, then so many steps of the next one."""

    stage: int
    step: int
    optimizer: list[dict[str, Any]] | None


def save_checkpoint(path: Path, recipe: Recipe, student: Student, done: Checkpoint) -> None:
    """Replace the checkpoint by the present state. Raises BitloomError where it cannot be written."""
    state = {
        "recipe": asdict(recipe),
        "model": student.model.state_dict(),
        "probes": [probe.state_dict() for probe in student.probes],
        "stage": done.stage,
        "step": done.step,
        "optimizer": done.optimizer,
    }
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, temporary)
        fsync_file(temporary)
        temporary.replace(path)
    except OSError as exc:
        raise BitloomError(f"{path}: checkpoint could not be written ({exc.strerror})") from exc


def load_checkpoint(path: Path, recipe: Recipe, student: Student) -> Checkpoint:
    """Put a saved state into the student; without a file it stays as it is, at the very beginning.

    Raises CheckpointError where the file is of another recipe or is no checkpoint.
    """
    if not path.exists():
        return Checkpoint(0, 0, None)
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path}: not a training checkpoint, or a torn one; remove it to start anew")
    state = torch.load(path, weights_only=True)
    if state["recipe"] != asdict(recipe):
        raise CheckpointError(f"{path}: checkpoint of another recipe; remove it, or give another --run")
    student.model.load_state_dict(state["model"])
    for probe, saved in zip(student.probes, state["probes"], strict=True):
        probe.load_state_dict(saved)
    return Checkpoint(state["stage"], state["step"], state["optimizer"])
