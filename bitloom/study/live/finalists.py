"""Finalists as real variants: built, served behind one gateway, and measured on held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from bitloom.demo import stages
from bitloom.files import write_atomic
from bitloom.plan import Plan
from bitloom.results import RUN_NAME, RunManifest
from bitloom.study.search.measured import Finalist
from bitloom.study.search.report import FinalistReport, HeldOutScore
from bitloom.variant import read_manifest


def measure_finalists(
    found: Sequence[Finalist], out: Path, *, data: str, samples: int
) -> list[FinalistReport]:
    """Build the finalists, serve all behind one gateway, and evaluate each on held-out data.

    Plans, variants and runs are kept in `out`; a variant that is there already is not built again.
    """
    root = Path.cwd()
    variants = {finalist.plan.name: out / "variants" / finalist.plan.name for finalist in found}
    for finalist in found:
        name, path = finalist.plan.name, out / f"{finalist.plan.name}.yaml"
        write_plan(path, finalist.plan)
        if not variants[name].exists():
            stages.quantize(path.resolve(), variants[name].resolve(), root=root)
    resolved = {name: directory.resolve() for name, directory in variants.items()}
    runs = {name: (out / "runs" / name).resolve() for name in variants}
    with stages.serving(resolved, log=out / "serve.log", root=root) as endpoint:
        for name, run in runs.items():
            stages.evaluate(endpoint, name, run, data=data, samples=str(samples), root=root)
    return [finalist_report(each, variants[each.plan.name], runs[each.plan.name]) for each in found]


def finalist_report(finalist: Finalist, variant: Path, run: Path) -> FinalistReport:
    """A finalist as searched and as measured. Raises DataError, VariantError where files are damaged."""
    manifest = RunManifest.read(run / RUN_NAME)
    alone = manifest.sequential
    first = alone.time_to_first_token_s if alone else None
    whole = alone.request_latency_s if alone else None
    return FinalistReport(
        name=finalist.plan.name,
        values=dict(finalist.values),
        score=finalist.score,
        size=finalist.size,
        stored_bytes=read_manifest(variant).total.stored_bytes,
        held_out={
            score.name: HeldOutScore(value=score.value, low=score.low, high=score.high)
            for score in manifest.scores
        },
        first_token_s=first.p50 if first else None,
        request_s=whole.p50 if whole else None,
        peak_resident_bytes=manifest.memory.peak_resident_bytes if manifest.memory else None,
    )


def write_plan(path: Path, plan: Plan) -> None:
    """A plan as the YAML that `bitloom quantize` reads."""
    document = plan.model_dump(mode="json", exclude_none=True)
    write_atomic(path, yaml.safe_dump(document, sort_keys=False))
