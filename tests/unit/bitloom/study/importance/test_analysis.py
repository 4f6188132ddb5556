"""The whole report on grids whose truth is known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bitloom.errors import DataError, InputError
from bitloom.study.importance.analysis import Effort, analyse
from bitloom.study.importance.plots import check_target, write_plots
from bitloom.study.importance.report import ImportanceReport
from bitloom.study.importance.table import render
from bitloom.study.observations import Observations

QUICK = Effort(trees=20, small_trees=10, resamples=10)
Printer = Callable[[ImportanceReport], str]


@pytest.fixture
def printed() -> Printer:
    """The report's table as text."""

    def print_report(report: ImportanceReport) -> str:
        console = Console(width=200)
        with console.capture() as capture:
            console.print(render(report))
        return capture.get()

    return print_report


def test_a_clear_grid_is_ranked(grid: Observations, tmp_path: Path, printed: Printer) -> None:
    analysis = analyse(grid, QUICK)
    report = analysis.report
    assert report.refusal is None
    assert report.consensus is not None
    assert sum(report.consensus.values()) == pytest.approx(1)
    assert max(report.consensus, key=lambda name: (report.consensus or {})[name]) == "language"
    assert report.interactions[0].features == ("vision", "language")
    assert report.restricted["bits >= 3"].rows == 64
    assert ImportanceReport.model_validate_json(report.model_dump_json()) == report
    text = printed(report)
    assert "language" in text
    assert "bits >= 3" in text
    for name, start in (("a.png", b"\x89PNG"), ("a.html", b"<!doctype html>")):
        write_plots(tmp_path / name, analysis, grid)
        content = (tmp_path / name).read_bytes()
        assert content.startswith(start)
        assert len(content) > 10_000
    assert "http" not in (tmp_path / "a.html").read_text().split("base64,")[0]


def test_noise_is_refused_in_place_of_a_ranking(
    noise: Observations, tmp_path: Path, printed: Printer
) -> None:
    analysis = analyse(noise, QUICK)
    report = analysis.report
    assert report.refusal is not None
    assert report.refusal.startswith("no skill at the whole grid: R2 = ")
    assert (report.consensus, report.intervals, report.measures) == (None, None, None)
    assert report.refusal in printed(report)
    write_plots(tmp_path / "noise.png", analysis, noise)
    assert (tmp_path / "noise.png").stat().st_size > 1000


def test_parts_that_say_nothing_are_refused_by_name(grid: Observations) -> None:
    flat = grid.scores.copy()
    flat[np.all(grid.values >= 4, axis=1)] = 100.0
    steps = Observations(grid.features, "score", grid.values, flat, grid.sizes)
    restricted = analyse(steps, QUICK).report.restricted
    assert restricted["bits >= 4"].refusal == "score constant at bits >= 4"
    assert restricted["bits >= 4"].consensus is None
    assert "need at least" in (restricted["bits >= 6"].refusal or "")


def test_too_few_rows_are_refused(grid: Observations) -> None:
    with pytest.raises(DataError, match="measure more plans"):
        analyse(grid.subset(np.arange(125) % 11 == 0), QUICK)


def test_plots_need_a_known_suffix_and_a_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png or \.html"):
        check_target(tmp_path / "a.pdf")
    with pytest.raises(InputError, match="does not exist"):
        check_target(tmp_path / "none" / "a.png")
