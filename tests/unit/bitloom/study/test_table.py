"""The results table survives kills, refuses another grid's file, and is read by the rest of the study."""

from pathlib import Path

import pytest
from pyarrow import parquet

from bitloom.errors import BitloomError, DataError
from bitloom.plan import Plan, Rule
from bitloom.study.evaluator import PlanResult, ScoreEstimate
from bitloom.study.grid_expansion import GridEntry
from bitloom.study.observations import read_observations
from bitloom.study.table import Columns, ResultsTable

COLUMNS = Columns(features=("bits", "method"), scores=("CIDEr", "vqa"))


def entry(bits: int, method: str = "rtn") -> GridEntry:
    plan = Plan(name=f"p{bits}{method}", base="b", rules=(Rule(bits=bits, method=method),))
    return GridEntry(plan, {"bits": bits, "method": method})


def result(score: float) -> PlanResult:
    scores = {"CIDEr": ScoreEstimate(score, 0.01), "vqa": ScoreEstimate(score / 2, 0.02)}
    return PlanResult(scores, stored_bytes=1000, bpw=4.5, bpw_paper=4.0, seconds=0.25)


def test_rows_survive_reopening(tmp_path: Path) -> None:
    table = ResultsTable.open(tmp_path, COLUMNS)
    table.add_measured(entry(4), result(0.5))
    table.add_failed(entry(3), BitloomError("the engine died\nin the middle"), 1.5)
    again = ResultsTable.open(tmp_path, COLUMNS)
    assert again.hashes("measured") == {entry(4).plan.hash}
    assert again.hashes("failed") == {entry(3).plan.hash}
    assert again.rows == table.rows
    assert again.rows[entry(3).plan.hash]["error"] == "the engine died in the middle"


def test_a_row_cut_off_by_a_kill_is_dropped(tmp_path: Path) -> None:
    table = ResultsTable.open(tmp_path, COLUMNS)
    table.add_measured(entry(4), result(0.5))
    whole = table.path.read_bytes()
    table.add_measured(entry(8), result(0.7))
    table.path.write_bytes(table.path.read_bytes()[:-7])
    again = ResultsTable.open(tmp_path, COLUMNS)
    assert again.hashes("measured") == {entry(4).plan.hash}
    assert table.path.read_bytes() == whole


def test_a_header_cut_off_by_a_kill_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("plan,plan_ha")
    table = ResultsTable.open(tmp_path, COLUMNS)
    assert table.path.read_text().strip().split(",") == list(COLUMNS.header)


def test_a_plan_measured_after_a_failure_is_measured(tmp_path: Path) -> None:
    table = ResultsTable.open(tmp_path, COLUMNS)
    table.add_failed(entry(4), BitloomError("no"), 1.0)
    table.add_measured(entry(4), result(0.5))
    assert ResultsTable.open(tmp_path, COLUMNS).hashes("failed") == set()


def test_another_grids_table_is_refused(tmp_path: Path) -> None:
    ResultsTable.open(tmp_path, COLUMNS)
    with pytest.raises(DataError, match="give another directory"):
        ResultsTable.open(tmp_path, Columns(("bits",), ("CIDEr", "vqa")))
    with pytest.raises(DataError, match="rename the axis"):
        ResultsTable.open(tmp_path / "other", Columns(("bpw",), ("CIDEr",)))


def test_a_result_without_the_tables_scores_is_a_mistake(tmp_path: Path) -> None:
    table = ResultsTable.open(tmp_path, Columns(("bits", "method"), ("other",)))
    with pytest.raises(ValueError, match="other"):
        table.add_measured(entry(4), result(0.5))


def test_parquet_holds_numbers_once_a_plan(tmp_path: Path) -> None:
    table = ResultsTable.open(tmp_path, COLUMNS)
    table.add_failed(entry(4), BitloomError("no"), 1.0)
    table.add_measured(entry(4), result(0.5))
    table.add_failed(entry(3), BitloomError("no"), 1.0)
    rows = parquet.read_table(table.write_parquet()).to_pylist()
    assert [row["CIDEr"] for row in rows] == [0.5, None]
    assert rows[0]["bits"] == 4.0
    assert rows[0]["method"] == "rtn"
    assert rows[1]["error"] == "no"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_study_reads_its_own_table(tmp_path: Path, suffix: str) -> None:
    table = ResultsTable.open(tmp_path, COLUMNS)
    for bits in (2, 3, 4):
        table.add_measured(entry(bits), result(bits / 10))
    table.add_failed(entry(8), BitloomError("no"), 1.0)
    table.write_parquet()
    found = read_observations(tmp_path / f"results.{suffix}", score="CIDEr", features=["bits"], size="bytes")
    assert found.values[:, 0].tolist() == [2, 3, 4]
    assert found.failed == 1
    assert found.standard_errors is not None
