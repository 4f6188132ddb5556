"""Copies go to the shadow, are compared and counted, and never reach, delay or displace a client."""

from __future__ import annotations

import asyncio
from typing import Any

SHADOW = {"variant": "s"}


def routes(**shadow: Any) -> list[dict[str, Any]]:
    return [{"name": "r", "arms": [{"variant": "a"}], "shadow": {**SHADOW, **shadow}}]


def shadowed(served: Any, outcome: str) -> float:
    value: float = served.metric("shadow_requests_total", outcome=outcome)
    return value


async def test_a_copy_is_compared_and_not_returned(connect: Any) -> None:
    served = await connect("a", "s", routes=routes())
    status, document = await served.chat("tokens=3", model="r", temperature=0.5)
    assert (status, document["model"]) == (200, "a")
    await served.until(lambda: shadowed(served, "sent") == 1)
    assert served.metric("shadow_agreement_ratio", experiment="r", variant="s") == 1
    copy = served.engines["s"].received[0]
    assert copy == {**served.engines["a"].received[0], "model": "s"}
    heads = [{key.lower(): value for key, value in served.engines[name].headers[0].items()} for name in "as"]
    assert heads[0]["x-request-id"] != heads[1]["x-request-id"]
    assert served.metric("requests_total", route="r", variant="s", code="200", finish_reason="stop") == 0


async def test_a_stream_is_copied_whole(connect: Any) -> None:
    """The stub's stream reads "word0 word1 ", its whole answer "word word ": they differ."""
    served = await connect("a", "s", routes=routes())
    assert (await served.stream("tokens=2", model="r", stream_options={"include_usage": True}))[0] == 200
    await served.until(lambda: shadowed(served, "sent") == 1)
    assert not {"stream", "stream_options"} & set(served.engines["s"].received[0])
    assert served.metric("shadow_agreement_ratio", experiment="r", variant="s") == 0
    async with served.http.get("/admin/experiments/r") as response:
        assert (await response.json())["shadow"] == {"s": {"sent": 1, "agreed": 0, "dropped": 0, "failed": 0}}


async def test_a_slow_shadow_delays_nobody_and_is_dropped(connect: Any) -> None:
    """All answers are here while the first two copies still wait for theirs, which take a minute."""
    served = await connect("a", "s", routes=routes(outstanding=2))
    served.engines["s"].delay_s = 60
    for _ in range(6):
        assert (await served.chat("tokens=1", model="r"))[0] == 200
    await served.until(lambda: len(served.engines["s"].received) == 2)
    assert (shadowed(served, "dropped"), shadowed(served, "sent")) == (4, 0)


async def test_a_failing_shadow_is_counted_and_harms_nobody(connect: Any) -> None:
    served = await connect("a", "s", routes=routes(timeout_s=0.1))
    served.engines["s"].is_failing = True
    assert (await served.chat("tokens=1", model="r"))[0] == 200
    await served.until(lambda: shadowed(served, "failed") == 1)
    served.engines["s"].is_failing, served.engines["s"].delay_s = False, 5
    assert (await served.chat("tokens=1", model="r"))[0] == 200
    await served.until(lambda: shadowed(served, "failed") == 2)


async def test_errors_and_direct_requests_are_not_copied(connect: Any) -> None:
    served = await connect("a", "s", routes=routes())
    await served.chat("status=400", model="r")
    await served.chat("tokens=1", model="a")
    await asyncio.sleep(0.2)
    assert served.engines["s"].received == []


async def test_a_share_of_the_requests_is_copied(connect: Any) -> None:
    served = await connect("a", "s", routes=routes(share=0.3, outstanding=100))
    for _ in range(60):
        await served.chat("tokens=1", model="r")
    await served.until(lambda: shadowed(served, "sent") == len(served.engines["s"].received))
    assert 5 <= len(served.engines["s"].received) <= 35
