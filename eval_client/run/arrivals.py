"""When requests are sent: as places become free (closed loop), or by a clock (open loop).

A closed loop slows down with the server and never shows what a queue does; a clock goes on, as people do.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bitloom.results import Arrivals, SampleRecord
from eval_client.event_loop import no_collection

Request = TypeVar("Request")


@dataclass(frozen=True, slots=True)
class Load:
    """`concurrency` requests at most at a time; those of an open loop arrive at `rate_per_s`."""

    concurrency: int
    arrivals: Arrivals = "closed"
    rate_per_s: float | None = None
    seed: int = 0


ONE_AT_A_TIME = Load(1)


def arrival_times_s(load: Load, count: int) -> list[float]:
    """Seconds from the start at which each request of an open loop arrives; equal for equal loads.

    Poisson arrivals have exponential gaps; constant ones equal gaps, the first at 0. ValueError for a
    closed loop, which has no such times.
    """
    if load.arrivals == "closed" or not load.rate_per_s:
        raise ValueError("a closed loop has no arrival times")
    if load.arrivals == "constant":
        return [number / load.rate_per_s for number in range(count)]
    draw = random.Random(load.seed)
    times, at_s = [], 0.0
    for _ in range(count):
        at_s += draw.expovariate(load.rate_per_s)
        times.append(at_s)
    return times


async def send_all(
    requests: Sequence[Request], send: Callable[[Request], Awaitable[SampleRecord]], load: Load
) -> list[SampleRecord]:
    """Send every request as the load says, for its times; records in the order in which they ended."""
    with no_collection():
        if load.arrivals == "closed":
            return await _send_closed(requests, send, load.concurrency)
        return await _send_open(requests, send, load)


async def _send_closed(
    requests: Sequence[Request], send: Callable[[Request], Awaitable[SampleRecord]], concurrency: int
) -> list[SampleRecord]:
    pending = iter(requests)
    records: list[SampleRecord] = []

    async def work() -> None:
        for each in pending:
            records.append(await send(each))

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return records


async def _send_open(
    requests: Sequence[Request], send: Callable[[Request], Awaitable[SampleRecord]], load: Load
) -> list[SampleRecord]:
    places = asyncio.Semaphore(load.concurrency)
    records: list[SampleRecord] = []
    start_s = time.perf_counter()

    async def work(request: Request, at_s: float) -> None:
        await asyncio.sleep(max(0.0, start_s + at_s - time.perf_counter()))
        async with places:
            queued_s = max(0.0, time.perf_counter() - start_s - at_s)
            record = await send(request)
        records.append(record.model_copy(update={"queued_s": queued_s}))

    times = arrival_times_s(load, len(requests))
    await asyncio.gather(*(work(each, at_s) for each, at_s in zip(requests, times, strict=True)))
    return records
