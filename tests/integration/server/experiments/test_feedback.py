"""Scores reach the arm that answered, once a request, and only from the key that asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.keys import create_key

ROUTE = {"name": "r", "arms": [{"variant": "a"}, {"variant": "b"}]}
CHAT = {"model": "r", "messages": [{"role": "user", "content": "tokens=1"}]}


async def ask(served: Any, headers: dict[str, str] | None = None) -> tuple[str, str]:
    """Request id and variant of an answer."""
    async with served.http.post("/v1/chat/completions", json=CHAT, headers=headers or {}) as response:
        assert response.status == 200
        return response.headers["x-request-id"], response.headers["x-bitloom-variant"]


async def score(served: Any, request_id: str, value: Any, **more: Any) -> tuple[int, dict[str, Any]]:
    headers = more.pop("headers", {})
    body = {"request_id": request_id, "score": value, **more}
    async with served.http.post("/v1/feedback", json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_scores_are_kept_by_arm_and_outlive_a_restart(connect: Any, tmp_path: Path) -> None:
    served = await connect("a", "b", routes=[ROUTE], state_dir=tmp_path)
    arms = []
    for _ in range(6):
        request_id, arm = await ask(served)
        arms.append(arm)
        assert (await score(served, request_id, 0.5 if arm == "a" else 1, comment="fine"))[0] == 200
    assert served.metric("feedback_total", experiment="r", variant="a") == arms.count("a")
    assert served.metric("feedback_score_sum", experiment="r", variant="a") == 0.5 * arms.count("a")
    await served.stop()
    again = await connect("a", "b", routes=[ROUTE], state_dir=tmp_path)
    async with again.http.get("/admin/experiments/r") as response:
        shown = {arm["variant"]: arm["feedback"] for arm in (await response.json())["report"]["arms"]}
    assert {name: each["count"] for name, each in shown.items()} == {
        "a": arms.count("a"), "b": arms.count("b"),
    }  # fmt: skip
    assert shown["a"]["value"] in (0.5, None)
    assert 0 <= shown["a"]["low"] <= shown["a"]["high"] <= 1


async def test_a_second_score_replaces_the_first(connect: Any, tmp_path: Path) -> None:
    served = await connect("a", "b", routes=[ROUTE], state_dir=tmp_path)
    request_id, arm = await ask(served)
    for value in (0, 1):
        assert (await score(served, request_id, value))[0] == 200
    async with served.http.get("/admin/experiments/r") as response:
        shown = {each["variant"]: each["feedback"] for each in (await response.json())["report"]["arms"]}
    assert (shown[arm]["count"], shown[arm]["value"]) == (1, 1)


@pytest.mark.parametrize(
    ("value", "more"),
    [(2, {}), (-1, {}), ("x", {}), (None, {}), (1, {"comment": "x" * 2001}), (1, {"prompt": "x"})],
)
async def test_a_bad_score_names_its_field(connect: Any, tmp_path: Path, value: Any, more: Any) -> None:
    served = await connect("a", "b", routes=[ROUTE], state_dir=tmp_path)
    status, document = await score(served, "0" * 32, value, **more)
    assert (status, document["error"]["code"]) == (400, "invalid_field")
    assert document["error"]["param"] in {"score", "comment", "prompt"}


async def test_unknown_requests_and_servers_without_state(connect: Any, tmp_path: Path) -> None:
    served = await connect("a", "b", routes=[ROUTE], state_dir=tmp_path)
    status, document = await score(served, "0" * 32, 1)
    assert (status, document["error"]["code"]) == (404, "unknown_request")
    stateless = await connect("a", "b", routes=[ROUTE])
    request_id, _ = await ask(stateless)
    status, document = await score(stateless, request_id, 1)
    assert (status, document["error"]["code"]) == (404, "feedback_not_kept")


async def test_only_the_key_that_asked_may_score(connect: Any, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    headers = {
        name: {"authorization": f"Bearer {create_key(path, name, ('infer',))}"} for name in ("one", "two")
    }
    served = await connect("a", "b", routes=[ROUTE], state_dir=tmp_path / "s", keys_file=path)
    request_id, _ = await ask(served, headers["one"])
    assert (await score(served, request_id, 1, headers=headers["two"]))[0] == 404
    assert (await score(served, request_id, 1, headers=headers["one"]))[0] == 200
