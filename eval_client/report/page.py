"""The report as one HTML page that needs nothing from outside."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from bitloom.results import RunManifest
from eval_client.report.examples import Example
from eval_client.report.runs import ReportRun
from eval_client.report.tables import MIB, QUANTILES, latency_rows


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table, with an optional second line."""

    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture with a title."""

    title: str
    png: bytes

    @property
    def uri(self) -> str:
        """The picture within the page."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def render_page(runs: Sequence[ReportRun], plots: Sequence[Plot], examples: Sequence[Example]) -> str:
    """The page of one or more runs."""
    environment = Environment(
        loader=PackageLoader("eval_client", "report"), autoescape=True, undefined=StrictUndefined
    )
    datasets = dict.fromkeys(run.manifest.plan.dataset for run in runs)
    return environment.get_template("page.html.j2").render(
        title=f"Bitloom: {', '.join(run.name for run in runs)}",
        subtitle=f"on {', '.join(datasets)}; {_modes(runs)}",
        summary=_summary(runs),
        notes=_notes(runs),
        plots=plots,
        tables=[_scores(runs), *_breakdowns(runs), *_latency(runs)],
        examples=examples,
        repeat=[{"name": run.name, "text": _repeat(run.manifest)} for run in runs],
    )


def _summary(runs: Sequence[ReportRun]) -> Table:
    headings = ("model", "stored MiB", "bpw", "CIDEr", "R@1 t2i", "VQA", "TTFT ms", "tokens/s", "peak MiB")
    return Table("Summary", headings, [_summary_row(run) for run in runs])


def _summary_row(run: ReportRun) -> list[Cell]:
    manifest, size = run.manifest, run.size
    alone, loaded, memory = manifest.sequential, manifest.loaded, manifest.memory
    first = alone.time_to_first_token_s if alone else None
    rate = loaded.generated_tokens_per_s if loaded else None
    return [
        Cell(run.name),
        Cell("-" if size is None else f"{size.stored_bytes / MIB:.2f}"),
        Cell("-" if size is None else f"{size.bpw:.2f}"),
        *(_score_cell(manifest, name) for name in ("CIDEr", "text_to_image_R@1", "vqa_accuracy")),
        Cell("-" if first is None else f"{first.p50 * 1000:.1f}"),
        Cell("-" if rate is None else f"{rate:.0f}"),
        Cell("-" if memory is None else f"{memory.peak_resident_bytes / MIB:.0f}"),
    ]


def _scores(runs: Sequence[ReportRun]) -> Table:
    names = dict.fromkeys(score.name for run in runs for score in run.manifest.scores)
    rows = [[Cell(name), *(_score_cell(run.manifest, name) for run in runs)] for name in names]
    return Table("All scores", ("score", *(run.name for run in runs)), rows)


def _score_cell(manifest: RunManifest, name: str) -> Cell:
    score = manifest.score(name)
    if score is None:
        return Cell("-")
    if score.low is None or score.high is None:
        return Cell(f"{score.value:.3f}")
    return Cell(f"{score.value:.3f}", f"{score.low:.3f} .. {score.high:.3f}")


def _breakdowns(runs: Sequence[ReportRun]) -> list[Table]:
    """By task: a row a kind of sample, a column a run."""
    tables = []
    for task in dict.fromkeys(task for run in runs for task in run.manifest.breakdown):
        by_run = [run.manifest.breakdown.get(task, {}) for run in runs]
        kinds = sorted({kind for scores in by_run for kind in scores})
        rows = [
            [Cell(kind), *(Cell(f"{each[kind]:.3f}" if kind in each else "-") for each in by_run)]
            for kind in kinds
        ]
        tables.append(Table(f"{task} by kind", ("kind", *(run.name for run in runs)), rows))
    return tables


def _latency(runs: Sequence[ReportRun]) -> list[Table]:
    """By number of requests at a time: a row a figure, a column a run."""
    tables = []
    for width in sorted({timed.concurrency for run in runs for timed in run.manifest.latency}):
        columns: list[dict[str, str]] = []
        for run in runs:
            timed = next((each for each in run.manifest.latency if each.concurrency == width), None)
            columns.append(dict(latency_rows(timed)) if timed else {})
        names = dict.fromkeys(name for column in columns for name in column)
        rows = [[Cell(name), *(Cell(column.get(name, "-")) for column in columns)] for name in names]
        tables.append(
            Table(f"Latency, {width} at a time ({QUANTILES})", ("figure", *(run.name for run in runs)), rows)
        )
    return tables


def _notes(runs: Sequence[ReportRun]) -> list[str]:
    notes = [f"{run.name}: {note}" for run in runs for note in run.manifest.notes]
    notes += [
        f"{run.name}: {run.manifest.failed} of {run.manifest.requests} requests failed and are in no score"
        for run in runs
        if run.manifest.failed
    ]
    if len({_comparable(run.manifest) for run in runs}) > 1:
        notes.append("These runs were not asked the same (data, prompts or modes differ): do not compare.")
    return notes


def _comparable(manifest: RunManifest) -> str:
    """Equal for runs that were asked the same things in the same way."""
    return json.dumps(manifest.plan.model_dump(mode="json", exclude={"model", "model_card"}), sort_keys=True)


def _modes(runs: Sequence[ReportRun]) -> str:
    modes = {f"{name}: {mode}" for run in runs for name, mode in run.manifest.plan.modes.items()}
    prompts = {f"prompts: {run.manifest.plan.prompts['name']}" for run in runs}
    return ", ".join(sorted(modes | prompts))


def _repeat(manifest: RunManifest) -> str:
    exclude = {"scores", "breakdown", "latency", "memory", "notes"}
    return json.dumps(manifest.model_dump(mode="json", exclude=exclude), indent=2)
