"""What a plan takes in a round, and whose seconds a lap counts."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from benchmarks.study_speed import Round, Stopwatch, judge


def test_a_plan_bears_its_share_of_what_all_need() -> None:
    row = Round(prepare=30.0, start=20.0, swap=0.5, ask=1.0, oneshot=4.0)
    assert row.ours(50) == pytest.approx(1.5)
    assert row.peers == 24.0


def test_the_median_round_decides() -> None:
    good = Round(10.0, 20.0, 0.1, 1.0, 5.0)
    slow = Round(10.0, 20.0, 9.0, 1.0, 5.0)
    assert judge([good, slow, good], [good] * 3, 50, 8).holds
    assert not judge([good, slow, slow], [good] * 3, 50, 8).holds
    assert judge([good, slow, good], [good] * 3, 50, 8).figures["ratio"] == pytest.approx(25 / 0.7)


def test_a_lap_counts_the_other_process_and_no_sleep() -> None:
    script = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\ninput()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as busy:
        watch = Stopwatch()
        deadline = time.monotonic() + 60
        spent = 0.0
        while spent < 0.5 and time.monotonic() < deadline:
            time.sleep(0.05)
            spent += watch.lap(busy.pid)[1]
        wall, cpu = Stopwatch().lap(os.getpid())
        assert 0.4 < spent < 5.0
        assert wall < 5.0
        assert cpu > 0
        busy.communicate(b"\n")
