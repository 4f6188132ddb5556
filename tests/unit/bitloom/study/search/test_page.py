"""A search's page holds what was found, what was predicted, and what became of the finalists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from bitloom.cli.main import cli
from bitloom.errors import DataError, InputError
from bitloom.study.observations import Observations
from bitloom.study.search.replay import Replay
from bitloom.study.search.report import ComparedPlan, FinalistReport, HeldOutScore, SearchReport
from bitloom.study.search.table import render


@pytest.fixture
def report(grid: Observations) -> SearchReport:
    found = Replay(grid, "bpw").under_budget(4.0, lookups=10)
    built = FinalistReport(
        name="found-2-3",
        values=found.best.values,
        score=0.9,
        size=3.9,
        stored_bytes=1_234_000,
        held_out={"CIDEr": HeldOutScore(value=6.5, low=6.25, high=6.75)},
        first_token_s=0.02,
        request_s=0.125,
        peak_resident_bytes=None,
    )
    sensitivities = {"vision": {2: 1.0, 3: 0.1}, "language": {2: 0.5, 3: 0.05}}
    lead = HeldOutScore(value=0.05, low=0.025, high=0.075)
    kept = HeldOutScore(value=0.85, low=None, high=None)
    compared = (
        ComparedPlan(name="found-2-3", values=found.best.values, size=3.9, kept=kept, lead=None),
        ComparedPlan(name="uniform-4", values=found.best.values, size=4.1, kept=kept, lead=lead),
        ComparedPlan(name="base", values=found.best.values, size=16, kept=kept, lead=lead),
    )
    return found.model_copy(
        update={"finalists": (built,), "sensitivities": sensitivities, "compared": compared}
    )


def test_the_command_draws_a_search(report: SearchReport, tmp_path: Path) -> None:
    source, target = tmp_path / "search.json", tmp_path / "search.html"
    source.write_text(report.model_dump_json())
    done = CliRunner().invoke(cli, ["study", "report", str(source), "--out", str(target)])
    assert done.exit_code == 0, done.output
    text = target.read_text()
    assert text.count("data:image/png;base64,") == 4
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "6.5 (6.25 .. 6.75)" in text
    assert "0.05 (0.025 .. 0.075)" in text
    assert "1.234 MB" in text
    assert "125.0 ms" in text
    assert "within their 95 % interval" in text
    assert text.count("<tr>") == 2 + 1 + 4 + 1 + len(report.front) + len(report.lookups)


def test_the_terminal_shows_leads(report: SearchReport) -> None:
    console = Console(width=140)
    with console.capture() as shown:
        console.print(render(report))
    assert "+0.050 (+0.025 .. +0.075)" in shown.get()
    assert "uniform-4" in shown.get()


def test_what_was_not_measured_is_left_out(report: SearchReport, tmp_path: Path) -> None:
    source, target = tmp_path / "search.json", tmp_path / "search.html"
    bare = report.model_copy(update={"finalists": (), "sensitivities": {}, "accuracy": None, "compared": ()})
    source.write_text(bare.model_dump_json())
    assert CliRunner().invoke(cli, ["study", "report", str(source), "--out", str(target)]).exit_code == 0
    text = target.read_text()
    assert text.count("data:image/png;base64,") == 1
    assert "Finalists" not in text


def test_a_damaged_search_and_missing_columns_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "search.json"
    source.write_text('{"score": "kept"}')
    target = ["--out", str(tmp_path / "page.html")]
    done = CliRunner().invoke(cli, ["study", "report", str(source), *target])
    assert isinstance(done.exception, DataError)
    assert "lookups" in str(done.exception)
    table = tmp_path / "results.csv"
    table.write_text("a,score,bpw\n1,2,3\n")
    done = CliRunner().invoke(cli, ["study", "report", str(table), *target])
    assert isinstance(done.exception, InputError)
    assert "--score and --features" in str(done.exception)
