"""A search of a real model: killed, gone on with, compared on held-out scenes, its finalists served."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bitloom.study.search.report import SearchReport
from bitloom.study.table import CSV_NAME

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(1800)]

ZOO = Path(os.environ.get("BITLOOM_ZOO", Path(__file__).parents[3] / "zoo"))
LIMIT = 3.5
LOOKUPS = 4


def command(out: Path) -> list[str]:
    search = [sys.executable, "-m", "bitloom", "study", "search", str(ZOO / "tiny-llava")]
    asked = ["--tasks", "vqa", "--samples", "8", "--lookups", str(LOOKUPS)]
    return [*search, "--budget", f"{LIMIT}bpw", *asked, "--out", str(out)]


def rows(out: Path) -> list[str]:
    path = out / CSV_NAME
    return path.read_text().splitlines() if path.exists() else []


def killed_after_a_lookup(out: Path) -> list[str]:
    """Rows of a search that was killed, with its engine, once it had written one."""
    running = subprocess.Popen(command(out), start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        while len(rows(out)) < 2 and running.poll() is None:
            time.sleep(0.2)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    return rows(out)


def test_a_search_goes_on_after_a_kill_to_finalists_that_were_served(tmp_path: Path) -> None:
    out = tmp_path / "search"
    before = killed_after_a_lookup(out)
    assert 2 <= len(before) < LOOKUPS
    done = subprocess.run(command(out), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert rows(out)[: len(before)] == before
    header, base = 1, 1
    assert len(rows(out)) == header + LOOKUPS - base
    report = SearchReport.read(out / "search.json")
    assert len(report.lookups) == LOOKUPS
    assert (report.lookups[0].size, report.lookups[0].score) == (16.0, 1.0)
    assert report.best.size <= LIMIT
    names = [each.name for each in report.compared]
    assert names == [*(each.name for each in report.finalists), "uniform-2", "uniform-3", "base"]
    assert all(each.lead and each.lead.low is not None for each in report.compared[1:])
    assert all(each.request_s and each.held_out["vqa_accuracy"].value > 0.5 for each in report.finalists)
    assert max(each.size for each in report.finalists) <= LIMIT
    assert "On samples the search never saw" in done.stdout
