"""When requests are sent, and how long they waited for it."""

from __future__ import annotations

import asyncio

import pytest

from bitloom.results import SampleRecord
from eval_client.run.arrivals import Load, arrival_times_s, send_all
from tests.unit.eval_client.test_latency import record


def test_constant_arrivals_are_equally_far_apart() -> None:
    assert arrival_times_s(Load(1, "constant", 4.0), 4) == [0.0, 0.25, 0.5, 0.75]


def test_poisson_arrivals_have_exponential_gaps_and_repeat_with_their_seed() -> None:
    times = arrival_times_s(Load(1, "poisson", 50.0, seed=1), 4000)
    gaps = [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(1 / 50, rel=0.05)
    assert deviation == pytest.approx(mean, rel=0.08)
    assert times == arrival_times_s(Load(1, "poisson", 50.0, seed=1), 4000)
    assert times != arrival_times_s(Load(1, "poisson", 50.0, seed=2), 4000)


def test_a_closed_loop_has_no_clock() -> None:
    with pytest.raises(ValueError, match="no arrival times"):
        arrival_times_s(Load(4), 2)


@pytest.mark.parametrize("load", [Load(3), Load(3, "poisson", 5000.0)])
async def test_no_more_than_allowed_are_under_way(load: Load) -> None:
    under_way, most = 0, 0

    async def send(number: int) -> SampleRecord:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.002)
        under_way -= 1
        return record((0.1,), 0.1)

    assert len(await send_all(range(20), send, load)) == 20
    assert most == 3


async def test_waiting_for_a_place_is_no_latency() -> None:
    async def send(number: int) -> SampleRecord:
        await asyncio.sleep(0.1)
        return record((0.1,), 0.1)

    done = await send_all(range(3), send, Load(1, "constant", 1000.0))
    waits = [each.queued_s for each in done]
    assert all(wait is not None for wait in waits)
    assert waits[2] is not None
    assert waits[2] > 0.19
    assert [each.end_s for each in done] == [0.1, 0.1, 0.1]
