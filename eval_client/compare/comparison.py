"""From two results directories to their comparison."""

from __future__ import annotations

from pathlib import Path

from eval_client.compare.latency import compare_latency
from eval_client.compare.margins import Margins
from eval_client.compare.metrics import compare_metrics
from eval_client.compare.model import ComparedRun, Comparison
from eval_client.compare.pairing import PairedRuns, pair_runs
from eval_client.report.runs import ReportRun, load_run

SEED = 0
_DRIFT = (
    "latencies were measured one run after the other: drift of the machine is in them, and not in the "
    "intervals; `bitloom ab` interleaves both"
)


def compare_runs(a: Path, b: Path, margins: Margins, *, seed: int = SEED) -> Comparison:
    """Compare two finished runs of the same samples.

    Args:
        a, b: results directories; differences are B minus A.
        margins: how much may be lost, by metric.
        seed: of the resampling; equal seeds give equal figures.

    Raises InputError where they may not be compared, DataError where one is unfinished or damaged.
    """
    return compare_loaded(load_run(a, {}), load_run(b, {}), margins, seed=seed)


def compare_loaded(a: ReportRun, b: ReportRun, margins: Margins, *, seed: int = SEED) -> Comparison:
    """As `compare_runs`, of runs that are in memory already."""
    runs = pair_runs(a, b)
    metrics, left_out = compare_metrics(runs, margins, seed=seed)
    latency = compare_latency(runs, seed=seed)
    drift = [_DRIFT] if latency and not runs.is_interleaved else []
    plan = runs.a.manifest.plan
    return Comparison(
        a=_identity(runs.a),
        b=_identity(runs.b),
        dataset=plan.dataset,
        dataset_hash=plan.dataset_hash,
        modes=plan.modes,
        is_interleaved=runs.is_interleaved,
        seed=seed,
        metrics=tuple(metrics),
        latency=tuple(latency),
        notes=(*runs.notes, *left_out, *_same_answers(runs), *drift),
    )


def _identity(run: ReportRun) -> ComparedRun:
    manifest = run.manifest
    return ComparedRun(
        model=manifest.model,
        directory=str(run.directory),
        created_at=manifest.provenance.created_at,
        git_commit=manifest.provenance.git_commit,
        requests=manifest.requests,
        failed=manifest.failed,
    )


def _same_answers(runs: PairedRuns) -> list[str]:
    """How many answers are letter by letter the same, where any is text."""
    own = [record for record in runs.a.answers.values() if record.task != "retrieval"]
    texts = [(a.answer, runs.b.answers[a.sample_id].answer) for a in own if a.answer is not None]
    if not texts:
        return []
    return [f"{sum(a == b for a, b in texts)} of {len(texts)} answers are the same text"]
