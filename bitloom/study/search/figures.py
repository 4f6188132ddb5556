"""The pictures of a search: the front, held-out comparisons, predictions, sensitivities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitloom.study.search.goal import Z95
from bitloom.study.search.report import UNIFORM, PlanReport, SearchReport

INCHES = (8.0, 4.5)
INCHES_A_PART = 0.45
GREY, ORANGE, BLUE = "#9aa5b1", "#c2410c", "#4c78a8"


def front_figure(report: SearchReport) -> Figure:
    """The believed front with its 95 % band, what was measured of its sizes, and the plan recommended."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    sizes = [point.size for point in report.front]
    low, high = ([getattr(point, side) for point in report.front] for side in ("low", "high"))
    axes.fill_between(sizes, low, high, color=GREY, alpha=0.3, step=None, label="95 %, believed")
    axes.plot(sizes, [point.score for point in report.front], color=GREY, label="front, believed")
    shown = [each for each in report.lookups if each.size <= max(sizes)]
    axes.errorbar(
        [each.size for each in shown],
        [each.score for each in shown],
        yerr=[Z95 * each.standard_error for each in shown],
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
    """What the plans found and the uniform ones keep on held-out samples, by size; the base as a line."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    recommended, *others, base = report.compared
    axes.axhline(base.kept.value, color=GREY, linestyle="--", label=f"{base.name}, {base.size:.4g}")
    for each in (recommended, *others):
        kept, is_first = each.kept, each is recommended
        low, high = (kept.value if end is None else end for end in (kept.low, kept.high))
        axes.errorbar(
            [each.size],
            [kept.value],
            yerr=[[kept.value - low], [high - kept.value]],
            fmt="*" if is_first else "o",
            markersize=16 if is_first else 6,
            color=ORANGE if is_first else BLUE,
            label="recommended" if is_first else None,
            capsize=2,
        )
        if each.name.startswith(UNIFORM):
            place = (each.size, kept.value)
            axes.annotate(each.name, place, xytext=(6, 6), textcoords="offset points")
    _label(axes, report)
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


def _label(axes: Axes, report: SearchReport) -> None:
    axes.set_xlabel(report.size_unit)
    axes.set_ylabel(report.score)
