"""The timed passes of two arms: the same samples, pair by pair, in random order within each pair.

A machine that slows down slows both arms down, so that their difference stays what it is. Each arm gets
images of its own (one pixel differs), so that neither warms a cache for the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bitloom.results import LatencyPass, SampleRecord
from eval_client.ab.order import interleaved
from eval_client.endpoint import ChatClient
from eval_client.latency import summarise
from eval_client.run.arrivals import ONE_AT_A_TIME, Load, send_all
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
from eval_client.slo import NO_SLO, Slo
from eval_client.tasks.samples import Sample

Models = tuple[str, str]
Prepared = Mapping[str, Sequence[TimedRequest]]


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
    load: Load,
    slo: Slo = NO_SLO,
) -> tuple[TimedArm, TimedArm]:
    """`sequential` requests of each arm one at a time, then `loaded` ones, those of both as `load` says.

    A pass of zero requests is left out. A pair's records have the same sample id in both arms.
    """
    measured = TimedArm(), TimedArm()
    if not sequential and not loaded:
        return measured
    counts = {WARM_UP: WARM_UP_REQUESTS, SEQUENTIAL: sequential, LOADED: loaded}
    first, second = [await asyncio.to_thread(prepare, samples, counts) for _ in models]
    progress.start(TASK, 2 * (sequential + loaded), 0)
    await _run_pass(client, models, (first, second), WARM_UP, ONE_AT_A_TIME)
    for kind, kind_load in ((SEQUENTIAL, ONE_AT_A_TIME), (LOADED, load)):
        if not counts[kind]:
            continue
        done = await _run_pass(client, models, (first, second), kind, kind_load)
        for arm, records in zip(measured, done, strict=True):
            arm.records.extend(records)
            arm.figures.append(_figures(records, kind_load, slo))
            for record in records:
                progress.advance(TASK, is_failed=record.state == "failed")
    return measured


async def _run_pass(
    client: ChatClient, models: Models, prepared: tuple[Prepared, Prepared], kind: str, load: Load
) -> tuple[list[SampleRecord], list[SampleRecord]]:
    """Each arm's records of one pass; they are told apart by their images, of which no two are equal."""
    first, second = (each[kind] for each in prepared)

    async def send(turn: tuple[int, TimedRequest]) -> SampleRecord:
        arm, request = turn
        return await ask(client, request.sample, models[arm], NO_RETRIES, request.image)

    done = await send_all(list(interleaved(first, second, seed=load.seed)), send, load)
    own = {request.image.sha256 for request in first}
    return (
        [record for record in done if record.image_sha256 in own],
        [record for record in done if record.image_sha256 not in own],
    )


def _figures(records: Sequence[SampleRecord], load: Load, slo: Slo) -> LatencyPass:
    """Without rates: the other arm worked in the same seconds."""
    found = summarise(records, load.concurrency, arrivals=load.arrivals, rate_per_s=load.rate_per_s, slo=slo)
    return found.model_copy(
        update={"generated_tokens_per_s": None, "requests_per_s": None, "goodput_per_s": None}
    )
