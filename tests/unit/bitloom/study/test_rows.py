"""Results files are read as they are, or refused by line."""

from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from bitloom.errors import DataError
from bitloom.study.rows import read_rows

Writer = Callable[[str], Path]


def test_cells_keep_their_text_and_line(write_csv: Writer) -> None:
    rows = read_rows(write_csv("a, b\n1,x\n\n2,\n"))
    assert [(row.line, row.cells) for row in rows] == [(2, {"a": "1", "b": "x"}), (4, {"a": "2", "b": ""})]


def test_a_byte_order_mark_is_no_part_of_the_first_column(write_csv: Writer) -> None:
    assert list(read_rows(write_csv("\ufeffa,b\n1,2\n"))[0].cells) == ["a", "b"]


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    parquet.write_table(pyarrow.table({"bits": [2, 4], "score": [0.5, None]}), path)
    assert [row.cells for row in read_rows(path)] == [
        {"bits": "2", "score": "0.5"},
        {"bits": "4", "score": ""},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "no data rows"),
        ("", "no data rows"),
        ("a,a\n1,2\n", "column 'a' twice"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells"),
    ],
)
def test_what_is_no_table_is_refused(write_csv: Writer, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_rows(write_csv(text))


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=name):
        read_rows(tmp_path / name)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"not a parquet file at all")
    with pytest.raises(DataError, match=r"broken\.parquet"):
        read_rows(path)
