"""Bounds of good answers."""

from __future__ import annotations

import pytest

from bitloom.errors import InputError
from eval_client.latency import summarise
from eval_client.slo import parse_slo
from tests.unit.eval_client.test_latency import record


def test_bounds_are_read() -> None:
    assert parse_slo("ttft=0.5, tpot=0.05").bounds == {"ttft": 0.5, "tpot": 0.05}
    assert parse_slo(None).bounds == {}


@pytest.mark.parametrize("text", ["ttft", "speed=1", "ttft=0", "ttft=nan", "ttft=1,ttft=2", "ttft=-1", ","])
def test_what_is_no_bound_is_named(text: str) -> None:
    with pytest.raises(InputError, match=r"--slo .* is not understood; give each of ttft, tpot, latency"):
        parse_slo(text)


def test_goodput_counts_answers_that_keep_every_bound() -> None:
    records = [
        record((0.1, 0.2), 0.2),  # good
        record((0.9, 1.0), 1.0),  # late first token
        record((0.1, 0.8), 0.8),  # slow tokens
        record((), None),  # failed
    ]
    timed = summarise(records, 4, slo=parse_slo("ttft=0.5,tpot=0.3"))
    assert (timed.good, timed.failed) == (1, 1)
    assert timed.goodput_per_s == pytest.approx(1 / 1.0)
    assert timed.slo == {"ttft": 0.5, "tpot": 0.3}


def test_without_bounds_there_is_no_goodput() -> None:
    timed = summarise([record((0.1,), 0.2)], 1)
    assert (timed.good, timed.goodput_per_s) == (None, None)


def test_an_answer_without_a_token_came_when_it_ended() -> None:
    assert summarise([record((), 0.4)], 1, slo=parse_slo("ttft=0.5")).good == 1
    assert summarise([record((), 0.6)], 1, slo=parse_slo("ttft=0.5")).good == 0
