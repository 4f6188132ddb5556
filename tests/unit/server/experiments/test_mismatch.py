"""The ratio check keeps quiet while units fall as assigned, and speaks up when they do not."""

from __future__ import annotations

import random

import pytest

from server.experiments.mismatch import ALPHA, mismatch_p_value


def test_fair_units_rarely_alarm_however_often_one_looks() -> None:
    rng = random.Random(0)
    alarms = 0
    for _ in range(300):
        counts = [0, 0]
        for seen in range(1, 1001):
            counts[rng.random() < 0.1] += 1
            if seen % 10 == 0 and mismatch_p_value({(0.9, 0.1): counts}) < 0.1:
                alarms += 1
                break
    assert alarms <= 300 * 0.1


def test_lost_units_are_noticed() -> None:
    assert mismatch_p_value({(0.5, 0.5): [5000, 4990]}) > 0.5
    assert mismatch_p_value({(0.5, 0.5): [5000, 4500]}) < ALPHA
    assert mismatch_p_value({(1.0, 0.0): [5, 1]}) == 0.0


def test_phases_of_a_ramp_count_by_their_own_shares() -> None:
    fair: dict[tuple[float, ...], list[int]] = {(0.99, 0.01): [9900, 100], (0.9, 0.1): [9000, 1000]}
    assert mismatch_p_value(fair) > 0.5
    assert mismatch_p_value({**fair, (0.5, 0.5): [3000, 2000]}) < ALPHA


@pytest.mark.parametrize("phases", [{}, {(0.5, 0.5): [0, 0]}, {(1.0, 0.0): [7, 0]}])
def test_nothing_to_say(phases: dict[tuple[float, ...], list[int]]) -> None:
    assert mismatch_p_value(phases) == pytest.approx(1.0)
