"""The timed passes of two arms: the same samples, pair by pair, in random order within each pair.

A machine that slows down slows both arms down, so that their difference stays what it is. Each arm gets
images of its own (one pixel differs), so that neither warms a cache for the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bitloom.results import LatencyPass, SampleRecord
from eval_client.ab.order import interleaved
from eval_client.endpoint import ChatClient
from eval_client.latency import summarise
from eval_client.run.ask import NO_RETRIES, ask
from eval_client.run.quality import Progress
from eval_client.run.timed import (
    LOADED,
    SEQUENTIAL,
    TASK,
    WARM_UP,
    WARM_UP_REQUESTS,
    TimedRequest,
    prepare,
)
from eval_client.tasks.samples import Sample

Models = tuple[str, str]
Turns = Iterator[tuple[int, TimedRequest]]


@dataclass(frozen=True, slots=True)
class TimedArm:
    """What one arm's passes measured."""

    records: list[SampleRecord] = field(default_factory=list)
    figures: list[LatencyPass] = field(default_factory=list)


async def time_both(
    client: ChatClient,
    models: Models,
    samples: Sequence[Sample],
    progress: Progress,
    *,
    sequential: int,
    loaded: int,
    concurrency: int,
    seed: int,
) -> tuple[TimedArm, TimedArm]:
    """`sequential` requests of each arm one at a time, then `loaded` ones, `concurrency` of both at a time.

    A pass of zero requests is left out. A pair's records have the same sample id in both arms.
    """
    measured = TimedArm(), TimedArm()
    if not sequential and not loaded:
        return measured
    counts = {WARM_UP: WARM_UP_REQUESTS, SEQUENTIAL: sequential, LOADED: loaded}
    first, second = [await asyncio.to_thread(prepare, samples, counts) for _ in models]
    progress.start(TASK, 2 * (sequential + loaded), 0)
    for kind, width in ((WARM_UP, 1), (SEQUENTIAL, 1), (LOADED, concurrency)):
        if not counts[kind]:
            continue
        turns = interleaved(first[kind], second[kind], seed=seed)
        done = await _run_pass(client, models, turns, width)
        if kind == WARM_UP:
            continue
        for arm, records in zip(measured, done, strict=True):
            arm.records.extend(records)
            arm.figures.append(summarise(records, width))
            for record in records:
                progress.advance(TASK, is_failed=record.state == "failed")
    return measured


async def _run_pass(
    client: ChatClient, models: Models, turns: Turns, concurrency: int
) -> tuple[list[SampleRecord], list[SampleRecord]]:
    records: tuple[list[SampleRecord], list[SampleRecord]] = [], []

    async def work() -> None:
        for arm, each in turns:
            records[arm].append(await ask(client, each.sample, models[arm], NO_RETRIES, each.image))

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return records
