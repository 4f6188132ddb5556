"""A report before it is written: what HTML and Markdown show, and the JSON that holds its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from bitloom.errors import InputError
from bitloom.provenance import Provenance, provenance
from bitloom.results import RunManifest
from bitloom.schema import Schema
from eval_client.compare.comparison import compare_loaded
from eval_client.compare.margins import Margins
from eval_client.compare.model import Comparison
from eval_client.compare.pairing import pair_runs
from eval_client.report.examples import METRICS, Example, choose_examples, count_disagreements
from eval_client.report.kinds import KindScore, scores_by_kind
from eval_client.report.repeat import Recipe, recipe
from eval_client.report.runs import ReportRun
from eval_client.report.sections import Table, notes, sections, subtitle, summary

DISPUTED, TYPICAL = 8, 2


class ReportedRun(Schema):
    """One run of a report, with the size of its model where that is known."""

    name: str
    directory: str
    stored_bytes: int | None
    bpw: float | None
    manifest: RunManifest
    kinds: tuple[KindScore, ...]
    recipe: Recipe


class ReportFile(Schema):
    """`report.json`: the figures of a report. `comparisons` are of each run with the first."""

    schema_version: Literal[1] = 1
    provenance: Provenance
    runs: tuple[ReportedRun, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report shows. `disagreements`: by task, on how many samples the scores differ."""

    runs: Sequence[ReportRun]
    kinds: Sequence[Sequence[KindScore]]
    comparisons: Sequence[Comparison]
    notes: Sequence[str]
    examples: Sequence[Example]
    disagreements: Mapping[str, str]
    recipes: Sequence[Recipe]

    @property
    def title(self) -> str:
        """The runs' names."""
        return f"Bitloom: {', '.join(run.name for run in self.runs)}"

    @property
    def subtitle(self) -> str:
        """Data sets, modes and prompts."""
        return subtitle(self.runs)

    @property
    def summary(self) -> Table:
        """A row a run."""
        return summary(self.runs)

    @property
    def tables(self) -> list[Table]:
        """All other tables, in order."""
        return sections(self.runs, self.kinds, self.comparisons)

    def file(self) -> ReportFile:
        """What is written as JSON."""
        reported = [
            ReportedRun(
                name=run.name,
                directory=str(run.directory),
                stored_bytes=run.size.stored_bytes if run.size else None,
                bpw=run.size.bpw if run.size else None,
                manifest=run.manifest,
                kinds=tuple(kinds),
                recipe=made,
            )
            for run, kinds, made in zip(self.runs, self.kinds, self.recipes, strict=True)
        ]
        return ReportFile(
            provenance=provenance(),
            runs=tuple(reported),
            comparisons=tuple(self.comparisons),
            notes=tuple(self.notes),
        )


def build_report(runs: Sequence[ReportRun]) -> Report:
    """Compare, choose samples, and collect what repeats the runs."""
    refusals = _refusals(runs)
    comparisons = [] if refusals else [compare_loaded(runs[0], run, Margins()) for run in runs[1:]]
    counts = {task: count_disagreements(runs, task) for task in METRICS} if len(runs) > 1 else {}
    return Report(
        runs=runs,
        kinds=[scores_by_kind(run) for run in runs],
        comparisons=comparisons,
        notes=notes(runs, refusals),
        examples=choose_examples(runs, disputed=DISPUTED, typical=TYPICAL),
        disagreements={task: f"{differ} of {both}" for task, (differ, both) in counts.items() if both},
        recipes=[recipe(run) for run in runs],
    )


def _refusals(runs: Sequence[ReportRun]) -> list[str]:
    """Why the runs may not be compared: the first reason of each pair of neighbours."""
    reasons = []
    for first, second in pairwise(runs):
        try:
            pair_runs(first, second)
        except InputError as exc:
            reasons.append(str(exc))
    return reasons
