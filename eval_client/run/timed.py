"""The timed passes: captions of images that no cache has seen, once one at a time, once under load.

No retries, nothing else running, a few requests before that do not count. Images are changed by one pixel
and encoded beforehand, so that neither an image cache nor a prefix cache of the server can help.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bitloom.results import LatencyPass, SampleRecord
from eval_client.endpoint import ChatClient
from eval_client.images import EncodedImage, made_new
from eval_client.latency import summarise
from eval_client.run.ask import NO_RETRIES, ask
from eval_client.run.quality import Progress
from eval_client.tasks.samples import Sample

WARM_UP_REQUESTS = 2
TASK = "latency"
WARM_UP, SEQUENTIAL, LOADED = "warm_up", "sequential", "loaded"
"""`kind` of a timed record."""


@dataclass(frozen=True, slots=True)
class TimedRequest:
    """A sample and the image that is sent instead of its own."""

    sample: Sample
    image: EncodedImage


def prepare(samples: Sequence[Sample], counts: Mapping[str, int]) -> dict[str, list[TimedRequest]]:
    """For each kind of pass so many requests: samples in turn, with images that were never sent before."""
    turn = itertools.cycle(samples)
    nonces = iter(random.SystemRandom().sample(range(1 << 24), sum(counts.values())))
    return {
        kind: [_new_request(next(turn), kind, number, next(nonces)) for number in range(count)]
        for kind, count in counts.items()
    }


def _new_request(sample: Sample, kind: str, number: int, nonce: int) -> TimedRequest:
    named = replace(sample, kind=kind, sample_id=f"{kind}/{number}/{sample.image.image_id}")
    return TimedRequest(named, made_new(sample.image.read(), nonce))


async def run_timed(
    client: ChatClient,
    model: str,
    samples: Sequence[Sample],
    progress: Progress,
    *,
    sequential: int,
    loaded: int,
    concurrency: int,
) -> tuple[list[SampleRecord], list[LatencyPass]]:
    """Records and figures of the passes: `sequential` requests alone, `loaded` ones `concurrency` at a time.

    A pass of zero requests is left out.
    """
    if not sequential and not loaded:
        return [], []
    counts = {WARM_UP: WARM_UP_REQUESTS, SEQUENTIAL: sequential, LOADED: loaded}
    prepared = await asyncio.to_thread(prepare, samples, counts)
    progress.start(TASK, sequential + loaded, 0)
    await _run_pass(client, model, prepared[WARM_UP], 1)
    records: list[SampleRecord] = []
    figures: list[LatencyPass] = []
    for kind, width in ((SEQUENTIAL, 1), (LOADED, concurrency)):
        if requests := prepared[kind]:
            done = await _run_pass(client, model, requests, width)
            records += done
            figures.append(summarise(done, width))
            for record in done:
                progress.advance(TASK, is_failed=record.state == "failed")
    return records, figures


async def _run_pass(
    client: ChatClient, model: str, requests: Sequence[TimedRequest], concurrency: int
) -> list[SampleRecord]:
    pending = iter(requests)
    records: list[SampleRecord] = []

    async def work() -> None:
        for each in pending:
            records.append(await ask(client, each.sample, model, NO_RETRIES, each.image))

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return records
