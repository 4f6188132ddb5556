"""The tables and notes of a report, whatever it is written as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitloom.results import RunManifest
from eval_client.compare.model import Comparison
from eval_client.compare.verdict import figure
from eval_client.report.kinds import KindScore
from eval_client.report.runs import ReportRun
from eval_client.report.tables import MIB, QUANTILES, latency_rows, memory_rows

_QUESTIONS = ("vqa_accuracy", "gqa_accuracy", "pope_accuracy")


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


def summary(runs: Sequence[ReportRun]) -> Table:
    """A row a run: size, the main scores, latency, memory."""
    headings = ("model", "stored MiB", "bpw", "CIDEr", "R@1 t2i", "VQA", "TTFT ms", "tokens/s", "peak MiB")
    return Table("Summary", headings, [_summary_row(run) for run in runs])


def sections(
    runs: Sequence[ReportRun], kinds: Sequence[Sequence[KindScore]], comparisons: Sequence[Comparison]
) -> list[Table]:
    """Differences, all scores, scores by kind, ties, latency, memory."""
    differences = [_differences(comparison) for comparison in comparisons]
    return [
        *differences,
        _scores(runs),
        *_by_kind(runs, kinds),
        *_breakdowns(runs),
        *_latency(runs),
        *_memory(runs),
    ]


def notes(runs: Sequence[ReportRun], refusals: Sequence[str]) -> list[str]:
    """What the reader must know before believing the figures. `refusals`: why runs were not compared."""
    found = [f"{run.name}: {note}" for run in runs for note in run.manifest.notes]
    found += [
        f"{run.name}: {run.manifest.failed} of {run.manifest.requests} requests failed and are in no score"
        for run in runs
        if run.manifest.failed
    ]
    if refusals:
        found.append("These runs were not asked the same (data, prompts or modes differ): do not compare.")
    return found + list(refusals)


def subtitle(runs: Sequence[ReportRun]) -> str:
    """Data sets, modes and prompts."""
    datasets = dict.fromkeys(run.manifest.plan.dataset for run in runs)
    modes = {f"{name}: {mode}" for run in runs for name, mode in run.manifest.plan.modes.items()}
    prompts = {f"prompts: {run.manifest.plan.prompts['name']}" for run in runs}
    return f"on {', '.join(datasets)}; {', '.join(sorted(modes | prompts))}"


def _summary_row(run: ReportRun) -> list[Cell]:
    manifest, size = run.manifest, run.size
    alone, loaded, memory = manifest.sequential, manifest.loaded, manifest.memory
    first = alone.time_to_first_token_s if alone else None
    rate = loaded.generated_tokens_per_s if loaded else None
    return [
        Cell(run.name),
        Cell("-" if size is None else f"{size.stored_bytes / MIB:.2f}"),
        Cell("-" if size is None else f"{size.bpw:.2f}"),
        *(_score_cell(manifest, name) for name in ("CIDEr", "text_to_image_R@1", _question_score(manifest))),
        Cell("-" if first is None else f"{first.p50 * 1000:.1f}"),
        Cell("-" if rate is None else f"{rate:.0f}"),
        Cell("-" if memory is None else f"{memory.peak_resident_bytes / MIB:.0f}"),
    ]


def _question_score(manifest: RunManifest) -> str:
    """The run's accuracy of questions, whichever it has."""
    return next((name for name in _QUESTIONS if manifest.score(name) is not None), _QUESTIONS[0])


def _differences(comparison: Comparison) -> Table:
    """What B is against A, a row a metric."""
    rows = [
        [
            Cell(f"{metric.name}{' *' if metric.is_primary else ''}", metric.test),
            Cell(f"{metric.difference:+.3f}", f"{metric.low:+.3f} .. {metric.high:+.3f}"),
            Cell(f"{metric.p_value:.3f}", "" if metric.p_holm is None else f"Holm {metric.p_holm:.3f}"),
            Cell(figure(metric.detectable)),
            Cell(metric.verdict),
        ]
        for metric in comparison.metrics
    ]
    rows += [
        [
            Cell(f"{each.figure}, ms", f"{each.load}, medians of {each.pairs} pairs"),
            Cell(f"{each.difference_s * 1e3:+.2f}", f"{each.low_s * 1e3:+.2f} .. {each.high_s * 1e3:+.2f}"),
            Cell(""),
            Cell(""),
            Cell(each.verdict),
        ]
        for each in comparison.latency
    ]
    title = f"{comparison.b.model} (B) against {comparison.a.model} (A)"
    return Table(title, ("score", "B - A", "p", "could have shown", "verdict"), rows)


def _scores(runs: Sequence[ReportRun]) -> Table:
    names = dict.fromkeys(score.name for run in runs for score in run.manifest.scores)
    rows = [[Cell(name), *(_score_cell(run.manifest, name) for run in runs)] for name in names]
    return Table("All scores", ("score", *(run.name for run in runs)), rows)


def _score_cell(manifest: RunManifest, name: str) -> Cell:
    score = manifest.score(name)
    return Cell("-") if score is None else _bounded_cell(score.value, score.low, score.high)


def _bounded_cell(value: float, low: float | None, high: float | None) -> Cell:
    bounds = "" if low is None or high is None else f"{low:.3f} .. {high:.3f}"
    return Cell(f"{value:.3f}", bounds)


def _by_kind(runs: Sequence[ReportRun], kinds: Sequence[Sequence[KindScore]]) -> list[Table]:
    """By task and score: a row a kind of question, a column a run."""
    tables = []
    for task, name in dict.fromkeys((each.task, each.name) for of_run in kinds for each in of_run):
        by_run = [
            {each.kind: each for each in of_run if (each.task, each.name) == (task, name)} for of_run in kinds
        ]
        rows = [
            [Cell(kind, f"{samples} samples"), *(_kind_cell(scores.get(kind)) for scores in by_run)]
            for kind, samples in _sizes(by_run).items()
        ]
        tables.append(Table(f"{task} by kind: {name}", ("kind", *(run.name for run in runs)), rows))
    return tables


def _sizes(by_run: Sequence[dict[str, KindScore]]) -> dict[str, int]:
    """Samples of each kind in the run that has most, by kind."""
    kinds = sorted({kind for scores in by_run for kind in scores})
    return {kind: max(scores[kind].samples for scores in by_run if kind in scores) for kind in kinds}


def _kind_cell(score: KindScore | None) -> Cell:
    return Cell("-") if score is None else _bounded_cell(score.value, score.low, score.high)


def _breakdowns(runs: Sequence[ReportRun]) -> list[Table]:
    """What a run breaks down otherwise than by kind of sample: ties of retrieval."""
    tables = []
    tasks = dict.fromkeys(task for run in runs for task in run.manifest.breakdown)
    for task in [each for each in tasks if not any(each in run.manifest.plan.tasks for run in runs)]:
        by_run = [run.manifest.breakdown.get(task, {}) for run in runs]
        names = sorted({name for scores in by_run for name in scores})
        rows = [
            [Cell(name), *(Cell(f"{each[name]:.3f}" if name in each else "-") for each in by_run)]
            for name in names
        ]
        tables.append(Table(task, ("", *(run.name for run in runs)), rows))
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


def _memory(runs: Sequence[ReportRun]) -> list[Table]:
    """A row a figure that any run has, a column a run; none where nothing was measured."""
    columns = [memory_rows(run.manifest.memory) for run in runs]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[Cell(name), *(Cell(column.get(name, "-")) for column in columns)] for name in names]
    return [Table("Memory, peak / mean", ("figure", *(run.name for run in runs)), rows)] if rows else []
