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
from eval_client.run.arrivals import ONE_AT_A_TIME, Load, send_all
from eval_client.run.ask import NO_RETRIES, ask
from eval_client.run.quality import Progress
from eval_client.slo import NO_SLO, Slo
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
    load: Load,
    slo: Slo = NO_SLO,
) -> tuple[list[SampleRecord], list[LatencyPass]]:
    """Records and figures of the passes: `sequential` requests alone, `loaded` ones as `load` says.

    A pass of zero requests is left out, and both where there are no samples.
    """
    if not samples or not (sequential or loaded):
        return [], []
    counts = {WARM_UP: WARM_UP_REQUESTS, SEQUENTIAL: sequential, LOADED: loaded}
    prepared = await asyncio.to_thread(prepare, samples, counts)
    progress.start(TASK, sequential + loaded, 0)

    async def send(request: TimedRequest) -> SampleRecord:
        return await ask(client, request.sample, model, NO_RETRIES, request.image)

    await send_all(prepared[WARM_UP], send, ONE_AT_A_TIME)
    records: list[SampleRecord] = []
    figures: list[LatencyPass] = []
    for kind, kind_load in ((SEQUENTIAL, ONE_AT_A_TIME), (LOADED, load)):
        if requests := prepared[kind]:
            done = await send_all(requests, send, kind_load)
            records += done
            figures.append(_figures(done, kind_load, slo))
            for record in done:
                progress.advance(TASK, is_failed=record.state == "failed")
    return records, figures


def _figures(records: Sequence[SampleRecord], load: Load, slo: Slo) -> LatencyPass:
    return summarise(records, load.concurrency, arrivals=load.arrivals, rate_per_s=load.rate_per_s, slo=slo)
