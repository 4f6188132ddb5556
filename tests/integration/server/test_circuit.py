"""A variant that keeps failing is left alone for a while, and then taken back."""

from __future__ import annotations

import asyncio
from typing import Any

CIRCUIT = {"failures": 3, "open_s": 1.0}


async def test_a_failing_worker_is_spared_and_taken_back(connect: Any) -> None:
    served = await connect("a", "b", circuit=CIRCUIT)
    engine = served.engines["a"]
    engine.is_failing = True
    assert [(await served.chat("x"))[0] for _ in range(3)] == [502] * 3
    async with served.http.post(
        "/v1/chat/completions", json={"model": "a", "messages": [{"role": "user", "content": "x"}]}
    ) as response:
        assert response.status == 503
        assert response.headers["retry-after"] == "1"
    assert len(engine.received) == 3
    assert served.metric("circuit_open", variant="a") == 1
    assert (await served.chat("x", model="b"))[0] == 200
    engine.is_failing = False
    await asyncio.sleep(1.1)
    assert (await served.chat("x"))[0] == 200
    assert served.metric("circuit_open", variant="a") == 0


async def test_after_the_pause_one_request_is_sent_to_see(connect: Any) -> None:
    served = await connect("a", circuit={"failures": 1, "open_s": 1.5})
    engine = served.engines["a"]
    engine.is_failing = True
    assert (await served.chat("x"))[0] == 502
    await asyncio.sleep(1.6)
    engine.delay_s = 0.2
    answers = await asyncio.gather(*(served.chat("x") for _ in range(8)))
    assert sorted(status for status, _ in answers) == [502] + [503] * 7
    assert len(engine.received) == 2
    assert served.metric("requests_in_flight", variant="a") == 0


async def test_control_stands_in_for_an_arm_that_keeps_failing(connect: Any) -> None:
    arms = [{"variant": "a", "weight": 0}, {"variant": "b", "weight": 1}]
    route = {"name": "r", "arms": arms, "control": "a", "fallback": True}
    served = await connect("a", "b", circuit={"failures": 2, "open_s": 30}, routes=[route])
    served.engines["b"].is_failing = True
    assert [(await served.chat("tokens=1", model="r"))[0] for _ in range(3)] == [502, 502, 200]


async def test_a_clients_own_faults_do_not_open_it(connect: Any) -> None:
    served = await connect("a", circuit={"failures": 1, "open_s": 30})
    assert (await served.chat("status=400"))[0] == 400
    assert (await served.chat("x"))[0] == 200
