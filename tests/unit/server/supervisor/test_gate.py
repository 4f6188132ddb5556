"""A closed gate holds requests back, and tells when the last inside has left."""

from __future__ import annotations

import asyncio

from server.metrics import Metrics
from server.supervisor.gate import Gate


async def test_requests_wait_at_a_closed_gate() -> None:
    metrics = Metrics()
    gate = Gate("a", metrics)
    leave = asyncio.Event()
    passed: list[str] = []

    async def request(name: str) -> None:
        with gate.arriving():
            async with gate.passing("r"):
                passed.append(name)
                await leave.wait()

    first = asyncio.create_task(request("first"))
    await asyncio.sleep(0)
    gate.close()
    second = asyncio.create_task(request("second"))
    assert not await gate.drained(0.05)
    assert passed == ["first"]
    assert (gate.inside, gate.outstanding) == (1, 2)
    assert metrics.registry.get_sample_value("bitloom_requests_queued", {"variant": "a"}) == 1
    leave.set()
    assert await gate.drained(5)
    assert not await gate.emptied(0.05)
    gate.open()
    await asyncio.gather(first, second)
    assert passed == ["first", "second"]
    assert await gate.emptied(5)
    assert metrics.registry.get_sample_value("bitloom_requests_queued", {"variant": "a"}) == 0


async def test_who_gives_up_at_the_gate_is_not_counted() -> None:
    gate = Gate("a", Metrics())
    gate.close()

    async def request() -> None:
        with gate.arriving():
            async with gate.passing("r"):
                raise AssertionError("the gate was closed")

    waiting = asyncio.create_task(request())
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert (gate.inside, gate.outstanding) == (0, 0)
    assert await gate.emptied(1)
