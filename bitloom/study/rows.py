"""Rows of a results file as text cells, from CSV or Parquet."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from bitloom.errors import DataError


@dataclass(frozen=True, slots=True)
class Row:
    """One data row: its line in the file (the header is line 1) and its cells by column; empty is ''."""

    line: int
    cells: dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """All rows of a `.parquet` file, or of a CSV with a header.

    Raises DataError where the file cannot be read, is empty, has a column twice, or a row of another length.
    """
    table = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    if len(table) < 2:
        raise DataError(f"{path}: no data rows; give a results file with a header and one row a plan")
    header = table[0][1]
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{path}: the header has column {name!r} twice; rename one of them")
    rows = []
    for line, cells in table[1:]:
        if len(cells) != len(header):
            raise DataError(
                f"{path}: line {line} has {len(cells)} cells, the header {len(header)}; mend the row"
            )
        rows.append(Row(line, dict(zip(header, cells, strict=True))))
    return rows


def _read_csv(path: Path) -> list[tuple[int, list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            return [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise DataError(f"{path}: cannot be read ({exc}); give a UTF-8 CSV or a .parquet file") from exc


def _read_parquet(path: Path) -> list[tuple[int, list[str]]]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as exc:
        raise DataError(f"{path}: cannot be read ({exc}); give a UTF-8 CSV or a .parquet file") from exc
    columns = [["" if cell is None else str(cell) for cell in column.to_pylist()] for column in table.columns]
    rows = [list(cells) for cells in zip(*columns, strict=True)]
    return [(1, list(table.column_names)), *((line, cells) for line, cells in enumerate(rows, start=2))]
