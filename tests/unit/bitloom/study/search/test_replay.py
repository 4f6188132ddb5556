"""Searches replayed on a measured grid."""

from dataclasses import replace

import pytest

from bitloom.errors import InputError
from bitloom.study.observations import Observations
from bitloom.study.search.replay import Replay
from bitloom.study.search.request import FloorRequest


def test_a_budget_gives_plan_front_and_regret(grid: Observations) -> None:
    report = Replay(grid, "bpw").under_budget(4.0, lookups=16)
    assert report.best.size <= 4.0
    assert report.regret is not None
    assert 0 <= report.regret < 1.0
    assert len(report.lookups) <= 16
    assert report.accuracy is None or report.accuracy.count == len(report.lookups) - 4
    sizes = [point.size for point in report.front]
    assert sizes == sorted(sizes)
    assert any(point.is_measured for point in report.front)
    assert all(point.low <= point.score <= point.high for point in report.front)


def test_a_floor_measures_the_largest_plan_first(grid: Observations) -> None:
    report = Replay(grid, "bpw").above_floor(FloorRequest("score", 0.95), lookups=16)
    assert report.lookups[0].values == {"vision": 8, "connector": 8, "language": 8}
    assert report.best.score >= 0.95 * report.lookups[0].score
    assert report.best.size < report.lookups[0].size
    assert report.regret is not None
    assert 0 <= report.regret < 1.0


def test_no_share_of_nothing_can_be_kept(grid: Observations) -> None:
    with pytest.raises(InputError, match="of which no share can be kept"):
        Replay(replace(grid, scores=-grid.scores), "bpw").above_floor(FloorRequest("score", 0.9), lookups=8)
