"""The pictures of a search: the front, held-out comparisons, predictions, sensitivities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from bitloom.study.search.goal import Z95
from bitloom.study.search.report import PlanReport, SearchReport

INCHES = (8.0, 4.5)
INCHES_A_PART = 0.45
GREY, ORANGE, BLUE = "#9aa5b1", "#c2410c", "#4c78a8"


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
    _label(axes, report)
    axes.legend()
    return figure


def compared_figure(report: SearchReport) -> Figure:
    """What the plans found, the uniform ones and the base keep on held-out samples, by size."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    found = {each.name for each in report.finalists} | {report.compared[0].name}
    for each in report.compared:
        kept, color = each.kept, ORANGE if each.name in found else GREY
        low, high = (kept.value if end is None else end for end in (kept.low, kept.high))
        axes.errorbar(
            [each.size],
            [kept.value],
            yerr=[[kept.value - low], [high - kept.value]],
            fmt="o",
            color=color,
            capsize=2,
        )
        place = (each.size, kept.value)
        axes.annotate(each.name, place, xytext=(6, 6), textcoords="offset points", fontsize=8)
    _label(axes, report)
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


def _label(axes: Axes, report: SearchReport) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel(report.size_unit)
    axes.set_ylabel(report.score)
