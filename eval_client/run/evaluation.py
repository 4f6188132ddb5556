"""One evaluation of one model, from settings to a results directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp

from bitloom.files import write_atomic
from bitloom.provenance import provenance
from bitloom.results import (
    LATENCY_NAME,
    MEMORY_NAME,
    RUN_NAME,
    SCORES_NAME,
    LatencyPass,
    MemoryUse,
    RunManifest,
    SampleRecord,
)
from bitloom.schema import Schema
from eval_client.config import RunConfig
from eval_client.endpoint import (
    ChatClient,
    is_answering,
    normalise_endpoint,
    open_client,
    open_session,
    read_card,
)
from eval_client.errors import RunStoppedError
from eval_client.images import ImageCache
from eval_client.memory import find_source, sampling, summarise
from eval_client.run.ask import RetryPolicy, ask
from eval_client.run.directory import finished_run, journal_path, prepare_directory
from eval_client.run.journal import Journal
from eval_client.run.plan import PlannedRun, plan_run
from eval_client.run.quality import Progress, run_quality
from eval_client.run.timed import run_timed
from eval_client.slo import parse_slo
from eval_client.tasks.samples import Sample
from eval_client.tasks.score import score_records

IMAGES_KEPT = 64
"""Neighbouring samples are about the same images: a shard of retrieval, the questions of an image."""

NO_MEMORY = "memory not measured: neither the gateway's metrics nor a local server process could be read"


async def evaluate(
    config: RunConfig, out: Path, progress: Progress, *, key: str | None = None
) -> RunManifest:
    """Evaluate a model and write `out`; a run that was interrupted there is resumed.

    Args:
        config: what to ask of whom.
        out: results directory, new or of an equal run.
        progress: told how far the run is.
        key: API key of the endpoint.

    Raises InputError (settings, data, or `out` of another run) and EndpointError (nothing answers at the
    start, the endpoint is gone in the middle, or too many requests failed; what there is is kept).
    """
    endpoint = normalise_endpoint(config.endpoint)
    limits = {"timeout_s": config.timeout_s, "stall_s": config.stall_s}
    async with (
        open_session(config.concurrency, key) as session,
        open_client(session, endpoint, **limits) as client,
    ):
        card = await read_card(session, endpoint, config.model)
        planned = await plan_run(config, card, client)
        prepare_directory(out, planned.plan)
        with Journal(journal_path(out)) as journal:
            if (finished := finished_run(out)) is not None:
                return finished
            run = _Run(config, endpoint, session, client, planned, out, progress)
            measured = await run.measure(journal)
            asked = [*planned.samples, *planned.shortlisted(journal.records)]
            records = [journal.records[sample.sample_id] for sample in asked]
    return run.conclude(records, measured)


@dataclass(frozen=True, slots=True)
class _Measured:
    """What a run measured beside its answers."""

    latency: tuple[LatencyPass, ...]
    memory: MemoryUse | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    """A planned run against an open endpoint."""

    config: RunConfig
    endpoint: str
    session: aiohttp.ClientSession
    client: ChatClient
    planned: PlannedRun
    out: Path
    progress: Progress

    async def measure(self, journal: Journal) -> _Measured:
        """Quality pass, then timed passes, with memory sampled during both."""
        config, notes = self.config, list(self.planned.notes)
        source = await find_source(self.session, self.endpoint, config.model, config.pid)
        if source is None:
            notes.append(NO_MEMORY)
        for note in notes:
            self.progress.note(note)
        path = self.out / MEMORY_NAME
        async with sampling(source, path) as asking:
            await self._ask_all(journal, self.planned.samples)
            if more := self.planned.shortlisted(journal.records):
                await self._ask_all(journal, more)
        async with sampling(source, path) as timing:
            latency = await self._time()
        return _Measured(tuple(latency), summarise(source, asking + timing), tuple(notes))

    async def _ask_all(self, journal: Journal, samples: Sequence[Sample]) -> None:
        config = self.config
        policy = RetryPolicy(config.retries, config.backoff_s)
        images = ImageCache(IMAGES_KEPT)

        async def ask_one(sample: Sample) -> SampleRecord:
            return await ask(self.client, sample, config.model, policy, images.read(sample.image))

        try:
            await run_quality(
                samples,
                journal,
                ask_one,
                partial(is_answering, self.session, self.endpoint),
                self.progress,
                concurrency=config.concurrency,
                max_failure_rate=config.max_failure_rate,
            )
        except RunStoppedError as exc:
            kept = f"{len(journal.answered)} of {len(samples)} answers are kept in {self.out}"
            raise RunStoppedError(f"{exc}. {kept}: run the same command again to resume") from exc

    async def _time(self) -> list[LatencyPass]:
        records, figures = await run_timed(
            self.client,
            self.config.model,
            self.planned.timed,
            self.progress,
            sequential=self.config.timed_sequential,
            loaded=self.config.timed_loaded,
            load=self.config.load,
            slo=parse_slo(self.config.slo),
        )
        _write_lines(self.out / LATENCY_NAME, records)
        return figures

    def conclude(self, records: Sequence[SampleRecord], measured: _Measured) -> RunManifest:
        """Score the records and write the manifest, last."""
        plan = self.planned.plan
        scores = score_records(records, self.config.vqa_variant, plan.seed)
        manifest = RunManifest(
            model=plan.model,
            endpoint=self.endpoint,
            plan=plan,
            config=self.config.model_dump(mode="json"),
            provenance=provenance(),
            scores=scores.scores,
            breakdown=scores.breakdown,
            latency=measured.latency,
            memory=measured.memory,
            requests=len(records),
            failed=sum(record.state == "failed" for record in records),
            retried=sum(record.retries > 0 for record in records),
            notes=measured.notes + scores.notes,
        )
        _write_lines(self.out / SCORES_NAME, scores.per_sample)
        write_atomic(self.out / RUN_NAME, manifest.model_dump_json(indent=2) + "\n")
        return manifest


def _write_lines(path: Path, rows: Sequence[Schema]) -> None:
    write_atomic(path, "".join(row.model_dump_json() + "\n" for row in rows))
