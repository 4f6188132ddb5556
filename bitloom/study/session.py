"""A study in a directory: its grid, its samples, its engines, and the table that survives all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from bitloom.errors import InputError
from bitloom.files import write_atomic
from bitloom.plan import Plan
from bitloom.schema import Schema
from bitloom.study.evaluator import Evaluator
from bitloom.study.grid import Grid, read_grid
from bitloom.study.grid_expansion import expand
from bitloom.study.live.evaluator import LiveEvaluator
from bitloom.study.live.rooms import open_assembly, open_examination
from bitloom.study.run import RowListener, run_grid
from bitloom.study.table import Columns, ResultsTable

STUDY_NAME = "study.json"


class SessionConfig(Schema):
    """What a study asks of which plans, and with how many engines."""

    grid: str
    base: str | None = None
    data: str
    tasks: tuple[str, ...]
    samples: int
    workers: int = 1
    ray: str | None = None


class StudyRecord(Schema):
    """`study.json`: what a resumed study must have in common with its beginning."""

    grid: Grid
    data: str
    tasks: tuple[str, ...]
    samples: int


class ClosableEvaluator(Evaluator, Protocol):
    """An evaluator that holds an engine."""

    def close(self) -> None:
        """End the engine."""
        ...


class Session:
    """A study that is running: use it as a context, which ends its engines.

    Raises PlanError, CheckpointError, DataError where the grid or the samples cannot be used, InputError
    where `out` holds another study.
    """

    def __init__(self, config: SessionConfig, out: Path) -> None:
        self.grid = read_grid(config.grid, base=config.base)
        self.entries = expand(self.grid)
        self._config = config
        out.mkdir(parents=True, exist_ok=True)
        self._keep_record(out)
        plans = [entry.plan for entry in self.entries]
        self._evaluators, scores = open_evaluators(plans, config)
        features = tuple(self.grid.axes)
        self._table = ResultsTable.open(out, Columns(features, scores))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for evaluator in self._evaluators:
            evaluator.close()

    @property
    def done(self) -> int:
        """Plans that need not be measured any more."""
        return len(self._table.hashes("measured"))

    def run(self, on_row: RowListener) -> ResultsTable:
        """Measure what is missing and write the Parquet file; the table."""
        run_grid(self.entries, self._table, self._evaluators, on_row)
        self._table.write_parquet()
        return self._table

    def _keep_record(self, out: Path) -> None:
        config = self._config
        record = StudyRecord(grid=self.grid, data=config.data, tasks=config.tasks, samples=config.samples)
        path = out / STUDY_NAME
        if not path.exists():
            write_atomic(path, record.model_dump_json(indent=2) + "\n")
        elif StudyRecord.read(path) != record:
            raise InputError(
                f"{path}: another study (grid, data, tasks or samples differ); give another --out"
            )


def open_evaluators(
    plans: Sequence[Plan], config: SessionConfig
) -> tuple[list[ClosableEvaluator], tuple[str, ...]]:
    """Evaluators of these plans, on this machine or a Ray cluster, and the names of their scores."""
    if config.ray is not None:
        from bitloom.study.live.remote import open_remote

        remote, names = open_remote(
            plans, config.data, config.tasks, config.samples, config.workers, config.ray
        )
        return [*remote], names
    assembly = open_assembly(plans)
    examination = open_examination(config.data, config.tasks, config.samples, plans[0].base)
    evaluators: list[ClosableEvaluator] = [
        LiveEvaluator(assembly, examination) for _ in range(config.workers)
    ]
    return evaluators, examination.score_names
