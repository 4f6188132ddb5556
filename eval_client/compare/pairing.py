"""Which two runs may be compared: those that asked the same samples the same way and scored them alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitloom.errors import InputError
from bitloom.results import RunPlan, SampleRecord
from eval_client.report.runs import ReportRun

SHORTLIST = "retrieval_shortlist"
"""The mode of a run that scored only pairs near each other in the model's own embeddings."""

_MAY_DIFFER = {"schema_version", "model", "model_card", "limits", "seed"}
_WORDS = {
    "dataset": "data sets",
    "dataset_hash": "samples",
    "tasks": "tasks",
    "prompts": "prompts",
    "modes": "scorers",
}
_SAME = ("prompt", "image_sha256", "references", "image_id", "caption_id")


@dataclass(frozen=True, slots=True)
class PairedRuns:
    """Two comparable runs. `notes`: what the reader must know of how they differ."""

    a: ReportRun
    b: ReportRun
    notes: tuple[str, ...]

    @property
    def is_interleaved(self) -> bool:
        """Whether both were asked at once by one `bitloom ab`."""
        own = self.a.manifest.interleaved
        return own is not None and own == self.b.manifest.interleaved


def pair_runs(first: ReportRun, second: ReportRun) -> PairedRuns:
    """Check that two runs may be compared. Raises InputError with the reason where not."""
    a, b = first.directory, second.directory
    if a.resolve() == b.resolve():
        raise InputError(f"{a}: given twice; give the results directories of two runs")
    check_plans(a, first.manifest.plan, b, second.manifest.plan)
    _check_samples(a, _fixed(first), b, _fixed(second))
    return PairedRuns(first, second, tuple(_notes(first, second)))


def check_plans(a: Path, first: RunPlan, b: Path, second: RunPlan) -> None:
    """Raise InputError where two plans (in directories `a` and `b`) ask or score different things."""
    for name in RunPlan.model_fields.keys() - _MAY_DIFFER:
        own, other = getattr(first, name), getattr(second, name)
        if own != other:
            raise InputError(
                f"{a} and {b} cannot be compared: {_WORDS.get(name, name)} differ "
                f"({_difference(own, other)}); evaluate both with the same --data, --samples, --tasks, "
                "--prompts and scorers"
            )


def _difference(own: Any, other: Any) -> str:
    """What differs, short: of two mappings the first entry that does."""
    if isinstance(own, dict) and isinstance(other, dict):
        name = min(key for key in own.keys() | other.keys() if own.get(key) != other.get(key))
        return f"{name}: {_short(own.get(name))} in A, {_short(other.get(name))} in B"
    return f"{_short(own)} in A, {_short(other)} in B"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _fixed(run: ReportRun) -> Mapping[str, SampleRecord]:
    """What must be the same: all but the pairs of a shortlist, which every model draws up for itself."""
    if SHORTLIST not in run.manifest.plan.modes:
        return run.answers
    return {name: record for name, record in run.answers.items() if record.task != "retrieval"}


def _check_samples(
    a: Path, first: Mapping[str, SampleRecord], b: Path, second: Mapping[str, SampleRecord]
) -> None:
    if alone := sorted(first.keys() ^ second.keys()):
        holder = a if alone[0] in first else b
        raise InputError(
            f"{a} and {b} cannot be compared: samples differ, {len(alone)} are in one of them only (first "
            f"{alone[0]!r}, in {holder}); evaluate both with the same --data and --samples"
        )
    for sample_id, record in first.items():
        for name in _SAME:
            own, other = getattr(record, name), getattr(second[sample_id], name)
            if own != other:
                raise InputError(
                    f"{a} and {b} cannot be compared: {name} of sample {sample_id!r} differs "
                    f"({_short(own)} in A, {_short(other)} in B); evaluate both on the same data"
                )


def _notes(first: ReportRun, second: ReportRun) -> list[str]:
    notes = []
    for letter, run in (("A", first), ("B", second)):
        if run.manifest.failed:
            notes.append(
                f"{run.manifest.failed} of {run.manifest.requests} requests failed in {letter}; "
                "their samples are left out on both sides"
            )
    commits = {run.manifest.provenance.git_commit for run in (first, second)}
    if len(commits) > 1:
        notes.append("the runs were scored by different commits of Bitloom")
    return notes
