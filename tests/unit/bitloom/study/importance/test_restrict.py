"""Parts without the lowest bits."""

from dataclasses import replace

import numpy as np

from bitloom.study.importance.restrict import restrictions
from bitloom.study.observations import Observations


def test_thresholds_then_subsets_of_features(grid: Observations) -> None:
    parts = dict(restrictions(grid))
    assert list(parts)[:3] == ["bits >= 3", "bits >= 4", "bits >= 6"]
    assert len(parts) == 3 + 7
    assert len(parts["bits >= 3"]) == 64
    assert len(parts["bits >= 4"]) == 27
    assert len(parts["vision > 2"]) == 100
    assert len(parts["vision > 2, language > 2"]) == 80
    assert np.all(parts["bits >= 4"].values >= 4)


def test_categories_and_switches_are_left_as_they_are(grid: Observations) -> None:
    other = replace(grid, categories={"connector": ("a", "b", "c", "d", "e")})
    assert all("connector" not in name for name, _ in restrictions(other))
    assert np.unique(dict(restrictions(other))["bits >= 4"].values[:, 1]).tolist() == [2, 3, 4, 6, 8]


def test_without_bits_there_is_nothing_to_leave_out(grid: Observations) -> None:
    switches = replace(grid, values=(grid.values > 3).astype(np.float64))
    assert list(restrictions(switches)) == []
