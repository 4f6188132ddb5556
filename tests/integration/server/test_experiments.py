"""Routes with arms: sticky units, headers, pins, metrics, across restarts and replicas."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

ROUTES = [{"name": "r", "arms": [{"variant": "a", "weight": 1}, {"variant": "b", "weight": 1}]}]


async def arm_of(served: Any, headers: dict[str, str] | None = None, **fields: Any) -> str:
    body = {"model": "r", "messages": [{"role": "user", "content": "tokens=1"}], **fields}
    async with served.http.post("/v1/chat/completions", json=body, headers=headers or {}) as response:
        assert response.status == 200
        assert response.headers["x-bitloom-experiment"] == "r"
        answer = await response.json()
        assert answer["model"] == response.headers["x-bitloom-variant"]
        variant: str = response.headers["x-bitloom-variant"]
        return variant


async def test_a_unit_keeps_its_arm_on_every_replica(connect: Any) -> None:
    one = await connect("a", "b", routes=ROUTES)
    users = [f"user-{i}" for i in range(20)]
    first = {user: await arm_of(one, user=user) for user in users}
    assert set(first.values()) == {"a", "b"}
    assert first == {user: await arm_of(one, user=user) for user in users}
    assert first == {user: await arm_of(one, {"x-bitloom-unit": user}, user="else") for user in users}
    counts = Counter(first.values())
    for arm in ("a", "b"):
        assert one.metric("assignments_total", experiment="r", variant=arm) == 3 * counts[arm]
        assert one.metric("arm_weight", experiment="r", variant=arm) == 0.5


async def test_units_keep_their_arms_after_a_restart(connect: Any, tmp_path: Path) -> None:
    users = [f"user-{i}" for i in range(30)]
    seen = []
    for _ in range(2):
        served = await connect("a", "b", routes=ROUTES, state_dir=tmp_path)
        seen.append({user: await arm_of(served, user=user) for user in users})
        await served.stop()
    assert seen[0] == seen[1]


async def test_without_a_unit_every_request_is_its_own(connect: Any) -> None:
    served = await connect("a", "b", routes=ROUTES)
    assert {await arm_of(served) for _ in range(30)} == {"a", "b"}


async def test_a_pin_chooses(connect: Any) -> None:
    served = await connect("a", "b", routes=ROUTES)
    for arm in ("a", "b"):
        assert await arm_of(served, {"x-bitloom-variant": arm}, user="user-1") == arm
    async with served.http.post(
        "/v1/chat/completions",
        json={"model": "r", "messages": [{"role": "user", "content": "x"}]},
        headers={"x-bitloom-variant": "z"},
    ) as response:
        assert response.status == 400


async def test_routes_are_models(connect: Any) -> None:
    served = await connect("a", "b", routes=ROUTES)
    async with served.http.get("/v1/models") as response:
        assert [model["id"] for model in (await response.json())["data"]] == ["r", "a", "b"]


async def test_metrics_tell_route_and_variant_apart(connect: Any) -> None:
    served = await connect("a", "b", routes=ROUTES)
    arm = await arm_of(served, user="user-0")
    labels = {"variant": arm, "code": "200", "finish_reason": "stop"}
    assert served.metric("requests_total", route="r", **labels) == 1
    assert served.metric("requests_total", route=arm, **labels) == 0
