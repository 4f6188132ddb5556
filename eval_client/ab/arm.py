"""One of the two models that are asked at once: its plan and its results directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bitloom.errors import InputError
from bitloom.files import write_atomic
from bitloom.provenance import provenance
from bitloom.results import (
    LATENCY_NAME,
    RUN_NAME,
    SCORES_NAME,
    LatencyPass,
    MemorySample,
    RunManifest,
    RunPlan,
    SampleRecord,
)
from bitloom.schema import Schema
from eval_client.compare.pairing import SHORTLIST
from eval_client.config import RunConfig
from eval_client.endpoint import ChatClient, normalise_endpoint, read_card
from eval_client.memory import Source, find_source, summarise
from eval_client.run.directory import prepare_directory
from eval_client.run.evaluation import NO_MEMORY
from eval_client.run.plan import PlannedRun, plan_run
from eval_client.tasks.score import score_records


@dataclass(frozen=True, slots=True)
class Arm:
    """A planned run of one model. `source` is where its memory is read, if that is possible."""

    name: str
    config: RunConfig
    out: Path
    planned: PlannedRun
    source: Source | None

    def conclude(self, records: Sequence[SampleRecord], measured: Measured, rival: str) -> RunManifest:
        """Score the records and write what is left of the results directory, the manifest last."""
        plan = self.planned.plan
        scores = score_records(records, self.config.vqa_variant, plan.seed)
        missing = () if self.source else (NO_MEMORY,)
        manifest = RunManifest(
            model=plan.model,
            endpoint=normalise_endpoint(self.config.endpoint),
            plan=plan,
            config=self.config.model_dump(mode="json"),
            provenance=provenance(),
            scores=scores.scores,
            breakdown=scores.breakdown,
            latency=tuple(measured.latency),
            memory=summarise(self.source, measured.memory),
            requests=len(records),
            failed=sum(record.state == "failed" for record in records),
            retried=sum(record.retries > 0 for record in records),
            notes=(*self.planned.notes, *missing, *scores.notes, _note(rival)),
            interleaved=measured.interleaved,
        )
        _write_lines(self.out / LATENCY_NAME, measured.timed)
        _write_lines(self.out / SCORES_NAME, scores.per_sample)
        write_atomic(self.out / RUN_NAME, manifest.model_dump_json(indent=2) + "\n")
        return manifest


@dataclass(frozen=True, slots=True)
class Measured:
    """What an arm measured beside its answers. `interleaved` is the same in both arms."""

    timed: Sequence[SampleRecord]
    latency: Sequence[LatencyPass]
    memory: Sequence[MemorySample]
    interleaved: str


async def plan_arm(
    name: str, config: RunConfig, out: Path, session: aiohttp.ClientSession, client: ChatClient
) -> Arm:
    """Plan a run of `config.model`, to be written to `out`/`name`.

    Raises what `plan_run` and `refuse_shortlist` raise.
    """
    endpoint = normalise_endpoint(config.endpoint)
    card = await read_card(session, endpoint, config.model)
    planned = await plan_run(config, card, client)
    refuse_shortlist(planned.plan)
    source = await find_source(session, endpoint, config.model, config.pid)
    return Arm(name, config, out / name, planned, source)


def refuse_shortlist(plan: RunPlan) -> None:
    """Raise InputError for a plan whose pairs depend on the model, so that no two arms are asked the same."""
    if SHORTLIST in plan.modes:
        raise InputError(
            f"shortlist {plan.modes[SHORTLIST]}: each model would draw up its own, and be asked other pairs; "
            "set BITLOOM_EVAL_SHORTLIST to 0, or evaluate both alone and compare them"
        )


def make_directory(arm: Arm) -> None:
    """Make the arm's results directory, or check that it is of this plan. Raises InputError."""
    prepare_directory(arm.out, arm.planned.plan)


def _note(rival: str) -> str:
    return f"asked at once with {rival}, in random order: latencies are those of an endpoint that served both"


def _write_lines(path: Path, rows: Sequence[Schema]) -> None:
    write_atomic(path, "".join(row.model_dump_json() + "\n" for row in rows))
