"""A comparison for the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from eval_client.compare.model import Comparison, LatencyComparison, MetricComparison
from eval_client.compare.verdict import figure
from eval_client.report.text import markdown_cell, visible

LEGEND = (
    "Intervals: paired bootstrap of images. p: the test named; Holm: corrected over the tasks' first "
    "scores, which are marked *. Equivalence: two one-sided tests at 5 %. The difference that a sample "
    "could have shown: found with 80 % chance."
)
_METRICS = ("score", "A", "B", "B - A (95 %)", "p", "p Holm", "outcome")
_STACKED = ("score", "A", "B", "B - A\n95 %", "p\nHolm", "outcome")
_DETAILS = ("test", "samples", "images", "margin", "verdict")
_LATENCY = ("latency, ms (pairs)", "A", "B", "B - A (95 %)", "B / A (95 %)")
_STACKED_LATENCY = ("latency, ms\n(pairs)", "A", "B", "B - A\n95 %", "B / A\n95 %", "outcome")
_COLORS = {"equivalent": "green", "better": "green", "worse": "red", "undecided": "yellow"}


def summary(comparison: Comparison) -> list[Text | Table]:
    """For a terminal: a sentence a task, the table of scores, that of latencies, notes."""
    a, b = visible(comparison.a.model), visible(comparison.b.model)
    lines: list[Text | Table] = [Text(f"A: {a}    B: {b}    on {visible(comparison.dataset)}")]
    for metric in comparison.metrics:
        if metric.is_primary:
            said = f"{metric.task}, {metric.name}: {metric.verdict}"
            lines.append(Text(said, style=_COLORS[metric.outcome]))
    scores = _table(_STACKED)
    for metric in comparison.metrics:
        name, own, other, difference, p_value, p_holm, outcome = _metric_cells(metric)
        stacked = (_stacked(difference), f"{p_value}\n{p_holm}".rstrip())
        scores.add_row(name, own, other, *stacked, Text(outcome, style=_COLORS[metric.outcome]))
    lines.append(scores)
    if comparison.latency:
        latencies = _table(_STACKED_LATENCY)
        for each in comparison.latency:
            name, own, other, difference, ratio = _latency_cells(each)
            latencies.add_row(name, own, other, _stacked(difference), _stacked(ratio), each.outcome)
        lines.append(latencies)
    return [*lines, Text(LEGEND), *(Text(f"Note: {visible(note)}.") for note in comparison.notes)]


def to_markdown(comparison: Comparison) -> str:
    """The comparison as a Markdown document."""
    a, b = markdown_cell(comparison.a.model), markdown_cell(comparison.b.model)
    lines = [f"# {b} (B) against {a} (A)", "", f"On {markdown_cell(comparison.dataset)}.", ""]
    lines += [f"- {each.task}, {each.name}: {each.verdict}" for each in comparison.metrics if each.is_primary]
    rows = [(*_metric_cells(each), *_details(each)) for each in comparison.metrics]
    lines += ["", *_markdown_table((*_METRICS, *_DETAILS), rows), "", LEGEND]
    if comparison.latency:
        timed = [(*_latency_cells(each), each.verdict) for each in comparison.latency]
        lines += ["", *_markdown_table((*_LATENCY, "verdict"), timed)]
    lines += ["", *(f"- {markdown_cell(note)}" for note in comparison.notes)] if comparison.notes else []
    lines += ["", f"A: `{comparison.a.directory}`, B: `{comparison.b.directory}`, seed {comparison.seed}."]
    return "\n".join(lines) + "\n"


def _metric_cells(metric: MetricComparison) -> tuple[str, ...]:
    """Cells under `_METRICS`."""
    return (
        f"{metric.name}{' *' if metric.is_primary else ''}",
        figure(metric.a),
        figure(metric.b),
        f"{metric.difference:+.3f} ({metric.low:+.3f} .. {metric.high:+.3f})",
        _chance(metric.p_value),
        "" if metric.p_holm is None else _chance(metric.p_holm),
        metric.outcome,
    )


def _details(metric: MetricComparison) -> tuple[str, ...]:
    """Cells under `_DETAILS`."""
    counts = (str(metric.samples), str(metric.images), figure(metric.margin))
    return (metric.test, *counts, metric.verdict)


def _latency_cells(latency: LatencyComparison) -> tuple[str, ...]:
    """Cells under `_LATENCY`."""
    low, high = latency.low_s * 1000, latency.high_s * 1000
    return (
        f"{latency.figure}, {latency.load} ({latency.pairs})",
        f"{latency.a_s * 1000:.2f}",
        f"{latency.b_s * 1000:.2f}",
        f"{latency.difference_s * 1000:+.2f} ({low:+.2f} .. {high:+.2f})",
        f"{latency.ratio:.3f} ({latency.ratio_low:.3f} .. {latency.ratio_high:.3f})",
    )


def _stacked(cell: str) -> str:
    """The interval under its figure: a terminal of 80 columns holds the whole row."""
    return cell.replace(" (", "\n").removesuffix(")")


def _chance(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def _table(headings: Sequence[str]) -> Table:
    """A table whose first column is folded where the terminal is too narrow for all."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for place, heading in enumerate(headings):
        is_text = place in (0, len(headings) - 1)
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=place > 0, overflow="fold")
    return table


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    head = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    return head + [f"| {' | '.join(row)} |" for row in rows]
