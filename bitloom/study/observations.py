"""A grid's results as the study reads them: one row a plan, with feature columns, a score, perhaps a size.

Any CSV or Parquet file with a header will do; the paper's own files do as they are. Text columns (a method,
say) become the index of their value in sorted order. Rows whose `state` column says `failed` have no score;
they are left out, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitloom.errors import DataError, InputError
from bitloom.study.rows import Row, read_rows

Floats = NDArray[np.float64]
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Observations:
    """Measured plans: `values` [rows, features], `scores` [rows] and, where known, `sizes` [rows].

    `standard_errors` [rows] are those of the scores (column `<score>_se`); `categories` are the values
    that a text feature's numbers stand for; `failed` counts rows without a score that were left out.
    """

    features: tuple[str, ...]
    score: str
    values: Floats
    scores: Floats
    sizes: Floats | None = None
    standard_errors: Floats | None = None
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    failed: int = 0

    def __len__(self) -> int:
        return len(self.scores)

    def levels(self, feature: int) -> Floats:
        """The distinct values of a feature, ascending."""
        return np.unique(self.values[:, feature])

    def subset(self, kept: NDArray[np.bool_]) -> Observations:
        """The rows where `kept` [rows] is true."""
        return replace(
            self,
            values=self.values[kept],
            scores=self.scores[kept],
            sizes=None if self.sizes is None else self.sizes[kept],
            standard_errors=None if self.standard_errors is None else self.standard_errors[kept],
        )


def read_observations(
    path: Path, *, score: str, features: Sequence[str], size: str | None = None
) -> Observations:
    """Read a results file; raise DataError naming what is wrong with it (column, lines) and the remedy."""
    rows = read_rows(path)
    error_column = f"{score}_se"
    _check_columns(path, rows, [*features, score, *([size] if size else [])])
    scored = [row for row in rows if row.cells.get("state") != "failed"]
    if not scored:
        raise DataError(f"{path}: no row with a score; finish the grid first")
    categories: dict[str, tuple[str, ...]] = {}
    columns = [_feature_column(path, scored, name, categories) for name in features]
    has_errors = error_column in rows[0].cells and all(row.cells[error_column] for row in scored)
    observations = Observations(
        features=tuple(features),
        score=score,
        values=np.stack(columns, axis=1),
        scores=_number_column(path, scored, score),
        sizes=_number_column(path, scored, size) if size else None,
        standard_errors=_number_column(path, scored, error_column) if has_errors else None,
        categories=categories,
        failed=len(rows) - len(scored),
    )
    _check_duplicates(path, scored, observations)
    _check_variation(path, observations)
    return observations


def require_rows(source: str, observations: Observations) -> None:
    """Raise DataError unless there are enough rows to fit one effect for each level of each feature."""
    levels = [len(observations.levels(index)) for index in range(len(observations.features))]
    needed = max(10, 1 + sum(count - 1 for count in levels))
    if len(observations) < needed:
        raise DataError(
            f"{source}: {len(observations)} rows, but {len(levels)} features with {levels} levels need at "
            f"least {needed}; measure more plans, or give fewer --features"
        )


def _check_columns(path: Path, rows: Sequence[Row], wanted: Sequence[str]) -> None:
    for name in wanted:
        if wanted.count(name) > 1:
            raise InputError(f"column {name!r} is given twice; name each feature, score and size once")
        if name not in rows[0].cells:
            raise DataError(f"{path}: no column {name!r}; its columns are {', '.join(rows[0].cells)}")


def _feature_column(
    path: Path, rows: Sequence[Row], name: str, categories: dict[str, tuple[str, ...]]
) -> Floats:
    texts = _texts(path, rows, name)
    if any(_is_number(text) for text in texts):
        return _number_column(path, rows, name)
    found = tuple(sorted(set(texts)))
    categories[name] = found
    return np.array([found.index(text) for text in texts], dtype=np.float64)


def _number_column(path: Path, rows: Sequence[Row], name: str) -> Floats:
    texts = _texts(path, rows, name)
    wrong = [(row.line, text) for row, text in zip(rows, texts, strict=True) if not _is_number(text)]
    if wrong:
        raise DataError(
            f"{path}: column {name!r} holds {wrong[0][1]!r} in line {wrong[0][0]}, which is no finite number"
            f" ({len(wrong)} such cells); correct or remove these rows"
        )
    return np.array([float(text) for text in texts], dtype=np.float64)


def _texts(path: Path, rows: Sequence[Row], name: str) -> list[str]:
    missing = [row.line for row in rows if not row.cells[name]]
    if missing:
        raise DataError(
            f"{path}: column {name!r} is empty in line {_listed(missing)}; measure these plans, or remove"
            " the rows"
        )
    return [row.cells[name] for row in rows]


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _check_duplicates(path: Path, rows: Sequence[Row], observations: Observations) -> None:
    first: dict[tuple[float, ...], int] = {}
    for row, values in zip(rows, observations.values.tolist(), strict=True):
        key = tuple(values)
        if key in first:
            shown = ", ".join(f"{name}={row.cells[name]}" for name in observations.features)
            raise DataError(
                f"{path}: lines {first[key]} and {row.line} are the same plan ({shown}); keep one, or "
                "add the feature that tells them apart to --features"
            )
        first[key] = row.line


def _check_variation(path: Path, observations: Observations) -> None:
    if len(np.unique(observations.scores)) == 1:
        raise DataError(
            f"{path}: every row has the same {observations.score} ({observations.scores[0]:g}), so nothing "
            "can be said to matter; give another --score"
        )
    for index, name in enumerate(observations.features):
        if len(observations.levels(index)) == 1:
            raise DataError(f"{path}: {name} has the same value in every row; leave it out of --features")


def _listed(lines: Sequence[int]) -> str:
    shown = ", ".join(str(line) for line in lines[:SHOWN])
    return shown if len(lines) <= SHOWN else f"{shown} and {len(lines) - SHOWN} more"
