"""A search's report as one self-contained HTML page: the front, predictions, sensitivities, finalists."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bitloom.study.importance.plots import png
from bitloom.study.page import picture, table, write_document
from bitloom.study.search.goal import Z95
from bitloom.study.search.report import FinalistReport, PlanReport, SearchReport

INCHES = (8.0, 4.5)
INCHES_A_PART = 0.45
GREY, ORANGE, BLUE = "#9aa5b1", "#c2410c", "#4c78a8"


def write_search_page(path: Path, report: SearchReport) -> None:
    """Write the report; nothing in it is loaded from elsewhere."""
    best = report.best
    found = f"{report.score} {best.score:.4g} at {best.size:.4g} {report.size_unit}: {_plan(best.values)}"
    parts = [
        f"<h1>Search: {html.escape(report.goal)}</h1><p>{html.escape(found)}</p>",
        f"<p>{len(report.lookups)} look-ups; {html.escape(report.stopped)}</p>",
        "<h2>Size and quality</h2>" + picture(png(front_figure(report)), "Pareto front"),
        _front(report),
        _predictions(report),
        _sensitivities(report),
        _finalists(report.finalists),
        "<h2>Look-ups</h2>" + table(("plan", report.size_unit, report.score, "predicted"), _lookups(report)),
    ]
    write_document(path, f"Search: {report.goal}", parts)


def front_figure(report: SearchReport) -> Figure:
    """The believed front with its 95 % band, what was measured, and the plan recommended."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    sizes = [point.size for point in report.front]
    low, high = ([getattr(point, side) for point in report.front] for side in ("low", "high"))
    axes.fill_between(sizes, low, high, color=GREY, alpha=0.3, step=None, label="95 %, believed")
    axes.plot(sizes, [point.score for point in report.front], color=GREY, label="front, believed")
    axes.errorbar(
        [each.size for each in report.lookups],
        [each.score for each in report.lookups],
        yerr=[Z95 * each.standard_error for each in report.lookups],
        fmt="o",
        color=BLUE,
        label="measured",
        capsize=2,
    )
    axes.plot(report.best.size, report.best.score, "*", markersize=16, color=ORANGE, label="recommended")
    axes.set_xlabel(report.size_unit)
    axes.set_ylabel(report.score)
    axes.legend()
    return figure


def prediction_figure(predicted: Sequence[PlanReport], score: str) -> Figure:
    """What was predicted of each plan against what was measured, both with 95 % intervals."""
    figure = Figure(figsize=(INCHES[1], INCHES[1]), layout="constrained")
    axes = figure.add_subplot()
    guesses = [each.predicted or 0.0 for each in predicted]
    scores = [each.score for each in predicted]
    axes.errorbar(
        guesses,
        scores,
        xerr=[Z95 * (each.predicted_deviation or 0.0) for each in predicted],
        yerr=[Z95 * each.standard_error for each in predicted],
        fmt="o",
        color=BLUE,
    )
    ends = [min(*guesses, *scores), max(*guesses, *scores)]
    axes.plot(ends, ends, color=GREY)
    axes.set_xlabel(f"{score}, predicted")
    axes.set_ylabel(f"{score}, measured")
    return figure


def sensitivity_figure(sensitivities: Mapping[str, Mapping[int, float]]) -> Figure:
    """A heat map: the predicted loss of each part at each width, by powers of ten."""
    parts = list(sensitivities)
    bits = sorted({each for losses in sensitivities.values() for each in losses})
    losses = np.array([[sensitivities[part].get(each, np.nan) for each in bits] for part in parts])
    figure = Figure(figsize=(INCHES[0], 1.5 + INCHES_A_PART * len(parts)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(np.log10(np.maximum(losses, 1e-12)), aspect="auto", cmap="viridis")
    axes.set_xticks(range(len(bits)), [str(each) for each in bits])
    axes.set_yticks(range(len(parts)), parts)
    axes.set_xlabel("bits")
    figure.colorbar(image, ax=axes, label="log10 of the predicted loss")
    return figure


def _front(report: SearchReport) -> str:
    rows = [
        (
            _plan(point.values),
            f"{point.size:.4g}",
            f"{point.score:.4g}",
            f"{point.low:.4g} .. {point.high:.4g}",
            "yes" if point.is_measured else "no",
        )
        for point in report.front
    ]
    return table(("plan", report.size_unit, report.score, "95 %", "measured"), rows)


def _predictions(report: SearchReport) -> str:
    predicted = [each for each in report.lookups if each.predicted is not None]
    if not predicted or report.accuracy is None:
        return ""
    found = report.accuracy
    text = (
        f"{found.count} predictions: mean error {found.mean_error:+.3g}, mean absolute error "
        f"{found.mean_absolute_error:.3g}, {100 * found.within_95:.0f} % within their 95 % interval"
    )
    image = picture(png(prediction_figure(predicted, report.score)), "predicted and measured")
    return f"<h2>Predicted and measured</h2><p>{html.escape(text)}</p>{image}"


def _sensitivities(report: SearchReport) -> str:
    if not report.sensitivities:
        return ""
    image = picture(png(sensitivity_figure(report.sensitivities)), "sensitivity of parts")
    return f"<h2>What each part loses, from one calibration pass</h2>{image}"


def _finalists(finalists: Sequence[FinalistReport]) -> str:
    if not finalists:
        return ""
    names = list(finalists[0].held_out)
    rows = []
    for each in finalists:
        held_out = [each.held_out[name] for name in names]
        scores = [f"{score.value:.4g}{_interval(score.low, score.high)}" for score in held_out]
        latency = "" if each.request_s is None else f"{1000 * each.request_s:.1f} ms"
        rows.append((_plan(each.values), f"{each.stored_bytes / 1e6:.3f} MB", latency, *scores))
    header = ("plan", "stored", "request, median", *names)
    return "<h2>Finalists, built and served, on samples the search never saw</h2>" + table(header, rows)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({low:.4g} .. {high:.4g})"


def _lookups(report: SearchReport) -> list[tuple[str, ...]]:
    return [
        (
            _plan(each.values),
            f"{each.size:.4g}",
            f"{each.score:.4g} ± {Z95 * each.standard_error:.2g}",
            ""
            if each.predicted is None
            else f"{each.predicted:.4g} ± {Z95 * (each.predicted_deviation or 0):.2g}",
        )
        for each in report.lookups
    ]


def _plan(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:g}" for name, value in values.items())
