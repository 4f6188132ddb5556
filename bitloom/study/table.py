"""The results table of a study: a CSV that grows row by row and survives a kill, and its Parquet copy.

    results.csv      one line a plan, appended and fsynced; of several lines of one plan the last holds
    results.parquet  the same rows, typed, one a plan; written when asked for, complete or not at all

Columns: plan, plan_hash, state, error, the features, each score and its `_se`, then bytes, bpw, bpw_paper
and seconds.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from bitloom.errors import BitloomError, DataError
from bitloom.files import write_atomic
from bitloom.study.evaluator import PlanResult
from bitloom.study.grid_expansion import GridEntry
from bitloom.study.rows import read_rows

CSV_NAME, PARQUET_NAME = "results.csv", "results.parquet"
State = Literal["measured", "failed"]
BEFORE = ("plan", "plan_hash", "state", "error")
AFTER = ("bytes", "bpw", "bpw_paper", "seconds")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a study that depend on its grid (`features`) and its tasks (`scores`)."""

    features: tuple[str, ...]
    scores: tuple[str, ...]

    @property
    def header(self) -> tuple[str, ...]:
        """All columns in order."""
        measured = tuple(name for score in self.scores for name in (score, f"{score}_se"))
        return (*BEFORE, *self.features, *measured, *AFTER)


@dataclass(slots=True)
class ResultsTable:
    """Rows of one study in `directory`; open with `ResultsTable.open`, which resumes."""

    directory: Path
    columns: Columns
    rows: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def open(cls, directory: Path, columns: Columns) -> Self:
        """Open or start the table; a line cut off by a kill is dropped.

        Raises DataError where the file there has other columns: it is of another grid.
        """
        if len(set(columns.header)) != len(columns.header):
            raise DataError(f"two columns have one name among {', '.join(columns.header)}; rename the axis")
        directory.mkdir(parents=True, exist_ok=True)
        table = cls(directory, columns)
        if not table.path.exists() or not _keep_whole_lines(table.path):
            write_atomic(table.path, _line(columns.header))
        header = table.path.read_text(encoding="utf-8").splitlines()[0].split(",")
        if tuple(header) != columns.header:
            raise DataError(
                f"{table.path}: its columns are {', '.join(header)}, this study's are "
                f"{', '.join(columns.header)}; give another directory"
            )
        if table.path.stat().st_size > len(_line(columns.header).encode()):
            table.rows = {row.cells["plan_hash"]: row.cells for row in read_rows(table.path)}
        return table

    @property
    def path(self) -> Path:
        """The CSV."""
        return self.directory / CSV_NAME

    def hashes(self, state: State) -> frozenset[str]:
        """Hashes of the plans whose last row has this state."""
        return frozenset(key for key, row in self.rows.items() if row["state"] == state)

    def add_measured(self, entry: GridEntry, result: PlanResult) -> None:
        """Append a measured plan; ValueError unless the result has the table's scores."""
        if set(result.scores) != set(self.columns.scores):
            raise ValueError(f"scores {sorted(result.scores)} are not the table's {self.columns.scores}")
        cells: dict[str, object] = {
            "bytes": result.stored_bytes,
            "bpw": result.bpw,
            "bpw_paper": result.bpw_paper,
            "seconds": result.seconds,
        }
        for name, score in result.scores.items():
            cells |= {name: score.value, f"{name}_se": score.standard_error}
        self._append(entry, "measured", "", cells)

    def add_failed(self, entry: GridEntry, error: BitloomError, seconds: float) -> None:
        """Append a plan that could not be measured, with the reason."""
        self._append(entry, "failed", " ".join(str(error).split()), {"seconds": seconds})

    def write_parquet(self) -> Path:
        """Write `results.parquet` from the rows so far, numbers as numbers; return its path."""
        import pyarrow
        from pyarrow import parquet

        columns = {name: self._column(name) for name in self.columns.header}
        buffer = io.BytesIO()
        parquet.write_table(pyarrow.table(columns), buffer)
        write_atomic(self.directory / PARQUET_NAME, buffer.getvalue())
        return self.directory / PARQUET_NAME

    def _append(self, entry: GridEntry, state: State, error: str, cells: Mapping[str, object]) -> None:
        known: dict[str, object] = {
            "plan": entry.plan.name,
            "plan_hash": entry.plan.hash,
            "state": state,
            "error": error,
            **entry.features,
            **cells,
        }
        row = {name: str(known.get(name, "")) for name in self.columns.header}
        with self.path.open("a", newline="", encoding="utf-8") as file:
            file.write(_line(tuple(row.values())))
            file.flush()
            os.fsync(file.fileno())
        self.rows[entry.plan.hash] = row

    def _column(self, name: str) -> list[str | None] | list[float | None]:
        cells = [row[name] for row in self.rows.values()]
        if name in BEFORE or not all(_is_float(cell) for cell in cells if cell):
            return [cell or None for cell in cells]
        return [float(cell) if cell else None for cell in cells]


def _line(cells: tuple[str, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _keep_whole_lines(path: Path) -> bool:
    """Cut the file after its last newline; whether anything is left. No cell holds a newline."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
    return whole > 0


def _is_float(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
