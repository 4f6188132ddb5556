"""`bitloom study` as it is typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bitloom.cli.main import cli
from bitloom.errors import InputError
from bitloom.plan import Plan

COLUMNS = ["--score", "score", "--features", "vision, connector,language"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["study", *arguments])


def test_importance_prints_json_and_draws(grid_csv: Path, tmp_path: Path) -> None:
    picture = tmp_path / "plot.html"
    done = run("importance", str(grid_csv), *COLUMNS, "--resamples", "10", "--out", str(picture), "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    assert sum(report["consensus"].values()) == pytest.approx(1)
    assert set(report["intervals"]) == {"vision", "connector", "language"}
    assert report["r2"] > 0.8
    assert "bits >= 3" in report["restricted"]
    assert picture.stat().st_size > 10_000


def test_replay_prints_json(grid_csv: Path) -> None:
    done = run("replay", "--results", str(grid_csv), *COLUMNS, "--size", "bpw", "--budget", "4bpw", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    assert report["best"]["size"] <= 4.0
    assert len(report["lookups"]) <= 24
    assert report["front"]


def test_replay_answers_the_reverse_question(grid_csv: Path) -> None:
    done = run("replay", "--results", str(grid_csv), *COLUMNS, "--size", "bpw", "--floor", "score=0.95")
    assert done.exit_code == 0, done.output
    assert "regret on this grid" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "either --budget"),
        (("--budget", "4bpw", "--floor", "score=0.9"), "either --budget"),
        (("--budget", "1bpw"), "below the smallest plan"),
        (("--budget", "99bpw"), "above the largest plan"),
        (("--budget", "100MB"), "give bpw"),
        (("--floor", "acc=0.9"), "not about the score"),
    ],
)
def test_what_cannot_be_searched_is_said(grid_csv: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run("replay", "--results", str(grid_csv), *COLUMNS, "--size", "bpw", *arguments)
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)


def test_an_empty_feature_name_is_refused(grid_csv: Path) -> None:
    done = run("importance", str(grid_csv), "--score", "score", "--features", "vision,,language")
    assert "empty name" in str(done.exception)


def test_plans_are_listed_in_their_order() -> None:
    names = run("plans", "scenes").output.split()
    assert len(names) == 18
    lines = run("plans", "scenes", "--base", "elsewhere", "--json").output.splitlines()
    plans = [Plan.model_validate_json(line) for line in lines]
    assert [plan.name for plan in plans] == names
    assert {plan.base for plan in plans} == {"elsewhere"}


def test_help_imports_no_scikit_learn() -> None:
    script = (
        "import sys; from bitloom.cli.main import cli; cli(['study', '--help'], standalone_mode=False); "
        "assert not {'sklearn', 'shap', 'scipy', 'torch', 'pyarrow'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "importance" in done.stdout


def test_a_wrong_file_ends_with_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bitloom", "study", "importance", str(tmp_path / "none.csv"), *COLUMNS],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 2
    assert "none.csv" in done.stderr
    assert "Traceback" not in done.stderr
