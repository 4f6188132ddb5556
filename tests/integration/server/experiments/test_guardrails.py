"""An arm that breaks a limit loses its traffic within the window, and has lost it after a restart too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.experiments.assignment import draw_arm
from server.experiments.config import RouteConfig

GUARD = {"error_rate": 0.2, "min_requests": 10, "window_s": 60}
ARMS = [{"variant": "a", "weight": 1}, {"variant": "b", "weight": 1}]
TEXT = {"role": "user", "content": "tokens=1"}


def settings(tmp_path: Path, **guard: Any) -> dict[str, Any]:
    route = {"name": "r", "arms": ARMS, "guardrails": guard or GUARD}
    return {"routes": [route], "state_dir": tmp_path / "state"}


def units_of(variant: str, count: int) -> list[str]:
    """Users whose arm of the route is `variant`."""
    route = RouteConfig.model_validate({"name": "r", "arms": ARMS})
    users = (f"user-{i}" for i in range(10 * count + 100))
    return [user for user in users if draw_arm(route, user) == variant][:count]


async def ask(served: Any, users: list[str], **fields: Any) -> list[str]:
    """Variants that answered these users, one request each."""
    answered = []
    for user in users:
        body = {"model": "r", "messages": [TEXT], "user": user, **fields}
        async with served.http.post("/v1/chat/completions", json=body) as response:
            await response.read()
            answered.append(response.headers["x-bitloom-variant"])
    return answered


async def shown(served: Any) -> dict[str, Any]:
    async with served.http.get("/admin/experiments/r") as response:
        assert response.status == 200
        document: dict[str, Any] = (await response.json())["report"]
        return document


async def test_a_forced_breach_rolls_back_and_stays_after_a_restart(connect: Any, tmp_path: Path) -> None:
    served = await connect("a", "b", **settings(tmp_path))
    served.engines["b"].is_failing = True
    users = units_of("b", 10)
    assert await ask(served, users) == ["b"] * 10
    await served.until(lambda: served.metric("rollbacks_total", reason="error_rate") == 1, 5)
    assert served.metric("arm_weight", experiment="r", variant="b") == 0
    assert served.metric("arm_weight", experiment="r", variant="a") == 1
    served.engines["b"].is_failing = False
    assert await ask(served, users) == ["a"] * 10
    assert served.metric("served_other_than_assigned_total", reason="rolled_back") == 10
    await served.stop()

    again = await connect("a", "b", **settings(tmp_path))
    assert again.metric("arm_weight", experiment="r", variant="b") == 0
    assert await ask(again, users) == ["a"] * 10
    assert again.engines["b"].received == []
    document = await shown(again)
    arm = {each["variant"]: each for each in document["arms"]}["b"]
    assert (arm["share"], arm["errors"], arm["requests"]) == (0, 10, 10)
    assert arm["standing"]["rolled_back_for"] == "error_rate"
    assert [(each["kind"], each["reason"]) for each in document["changes"]] == [("rollback", "error_rate")]


async def test_requests_of_a_rolled_back_arm_count_for_nobody(connect: Any, tmp_path: Path) -> None:
    served = await connect("a", "b", **settings(tmp_path))
    async with served.http.post("/admin/experiments/r/arms/b/rollback") as response:
        assert response.status == 200
    assert await ask(served, units_of("b", 5)) == ["a"] * 5
    assert await ask(served, units_of("a", 3)) == ["a"] * 3
    arms = {arm["variant"]: arm["requests"] for arm in (await shown(served))["arms"]}
    assert arms == {"a": 3, "b": 0}


async def test_an_operator_gives_an_arm_its_traffic_back(connect: Any, tmp_path: Path) -> None:
    served = await connect("a", "b", **settings(tmp_path))
    users = units_of("b", 3)
    for action, variant in (("rollback", "a"), ("resume", "b")):
        async with served.http.post(f"/admin/experiments/r/arms/b/{action}") as response:
            assert response.status == 200
        assert await ask(served, users) == [variant] * 3
    kinds = [(each["kind"], each["reason"]) for each in (await shown(served))["changes"]]
    assert kinds == [("resume", "operator"), ("rollback", "operator")]


@pytest.mark.parametrize("path", ["x/arms/b/rollback", "r/arms/a/rollback", "r/arms/z/resume"])
async def test_only_arms_beside_control_are_rolled_back(connect: Any, tmp_path: Path, path: str) -> None:
    served = await connect("a", "b", **settings(tmp_path))
    async with served.http.post(f"/admin/experiments/{path}") as response:
        assert response.status == 404


async def test_an_arm_that_is_slower_than_control_is_rolled_back(connect: Any, tmp_path: Path) -> None:
    guard = {"latency_ratio": 3, "ttft_ratio": 3, "min_requests": 5}
    served = await connect("a", "b", **settings(tmp_path, **guard))
    served.engines["b"].delay_s = 0.2
    await ask(served, units_of("a", 5), stream=True)
    assert served.metric("arm_weight", experiment="r", variant="b") == 0.5
    await ask(served, units_of("b", 5), stream=True)
    await served.until(lambda: served.metric("rollbacks_total", reason="ttft_ratio") == 1, 5)


async def test_too_few_answers_are_no_verdict(connect: Any, tmp_path: Path) -> None:
    served = await connect("a", "b", **settings(tmp_path))
    served.engines["b"].is_failing = True
    await ask(served, units_of("b", 9))
    served.gateway.desk.judge()
    assert served.metric("arm_weight", experiment="r", variant="b") == 0.5


async def test_control_answers_for_an_arm_that_is_down_and_it_counts_for_nobody(
    connect: Any, tmp_path: Path
) -> None:
    given = settings(tmp_path)
    given["routes"][0]["fallback"] = True
    served = await connect("a", "b", timeouts={"health_interval_s": 0.02, "health_s": 1}, **given)
    served.engines["b"].is_healthy = False
    worker = served.gateway.supervisor.workers["b"]
    await served.until(lambda: worker.state == "restarting")
    assert await ask(served, units_of("b", 2)) == ["a", "a"]
    assert served.metric("served_other_than_assigned_total", reason="unavailable") == 2
    assert {arm["requests"] for arm in (await shown(served))["arms"]} == {0}
