"""Ramps advance only through held stages, guards judge a window, and a breach anywhere ends a ramp."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.experiments.assignment import Assignment
from server.experiments.config import RouteConfig
from server.experiments.experiment import Experiment
from server.experiments.outcome import Outcome

RAMP = {"shares": [0.01, 0.1, 0.5], "hold_s": 60, "min_requests": 5}
GUARD = {"error_rate": 0.2, "empty_rate": 0.5, "latency_ratio": 2, "min_requests": 5, "window_s": 30}


def experiment(**settings: Any) -> Experiment:
    arms = [{"variant": "a", "weight": 1}, {"variant": "b", "weight": 1, "ramp": RAMP}]
    route = {"name": "r", "arms": arms, "guardrails": GUARD, **settings}
    return Experiment.begin(RouteConfig.model_validate(route), now=0.0)


def outcome(variant: str, point: float = 0.5, **fields: Any) -> Outcome:
    given = Outcome(
        request_id="x", assignment=Assignment("r", variant, "r", point=point, shares=(0.5, 0.5)),
        key_id=None, started_at=0.0, code=200, finish_reason="stop", is_error=False, is_aborted=False,
        is_empty=False, is_stream=False, ttft_s=None, latency_s=0.1, prompt_tokens=1, generated_tokens=1,
    )  # fmt: skip
    return replace(given, **fields)


def feed(one: Experiment, now: float, count: int, **fields: Any) -> None:
    for _ in range(count):
        one.record(outcome("b", **fields), now)
        one.record(outcome("a"), now)


def share_of_b(one: Experiment) -> float:
    return one.plan().served_shares[1]


def test_a_ramp_goes_through_its_stages() -> None:
    one = experiment()
    seen = [share_of_b(one)]
    for stage in range(3):
        now = 61.0 * (stage + 1)
        feed(one, now, 5)
        assert [change.kind for change in one.judge(now)] == ["advance"]
        seen.append(share_of_b(one))
    assert seen == pytest.approx([0.01, 0.1, 0.5, 0.5])
    assert one.judge(1e6) == []


@pytest.mark.parametrize(("now", "count"), [(59.0, 5), (61.0, 4)])
def test_a_stage_needs_its_time_and_its_answers(now: float, count: int) -> None:
    one = experiment()
    feed(one, now, count)
    assert one.judge(now) == []


def test_a_breach_ends_a_ramp_for_good() -> None:
    one = experiment()
    feed(one, 61, 5, is_error=True, code=500)
    (change,) = one.judge(61)
    assert (change.variant, change.kind, change.reason) == ("b", "rollback", "error_rate")
    assert share_of_b(one) == 0
    feed(one, 200, 50)
    assert one.judge(200) == []
    one.resume("b", 300)
    assert share_of_b(one) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_error": True, "code": 502}, "error_rate"),
        ({"is_empty": True}, "empty_rate"),
        ({"latency_s": 0.3}, "latency_ratio"),
    ],
)
def test_each_limit_has_its_reason(fields: dict[str, Any], reason: str) -> None:
    one = experiment()
    feed(one, 1, 5, **fields)
    assert [change.reason for change in one.judge(1)] == [reason]


def test_what_left_the_window_is_forgotten() -> None:
    one = experiment()
    feed(one, 1, 4, is_error=True, code=500)
    feed(one, 40, 20)
    assert one.judge(40) == []


@pytest.mark.parametrize("fields", [{"is_aborted": True, "code": 499}, {"code": 400}])
def test_what_the_client_did_is_not_held_against_an_arm(fields: dict[str, Any]) -> None:
    one = experiment()
    feed(one, 1, 20, **fields)
    assert one.judge(1) == []
    assert one.arms["b"].errors.count == 0


def test_control_is_never_rolled_back() -> None:
    one = experiment()
    for _ in range(20):
        one.record(outcome("a", is_error=True, code=500), 1)
    assert one.judge(1) == []


def test_pinned_requests_count_for_nobody() -> None:
    one = experiment()
    pinned = replace(outcome("b"), assignment=Assignment("r", "b", "r", "pinned"))
    one.record(pinned, 1)
    assert one.arms["b"].requests == 0


def test_units_are_counted_once() -> None:
    one = experiment()
    for _ in range(3):
        one.record(outcome("a", point=0.1), 1)
        one.record(outcome("b", point=0.9), 1)
    assert one.phases == {(0.5, 0.5): [1, 1]}
