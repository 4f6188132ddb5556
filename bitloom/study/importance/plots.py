"""Pictures of an importance report: bars with intervals, and a heat map for each pair of features."""

from __future__ import annotations

import base64
import html
import io
import math
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bitloom.errors import InputError
from bitloom.files import write_atomic
from bitloom.study.importance.analysis import Analysis
from bitloom.study.importance.interactions import Interaction
from bitloom.study.importance.report import ImportanceReport
from bitloom.study.observations import Observations

COLUMNS = 3
INCHES = (4.6, 3.8)
DOTS_PER_INCH = 130


def check_target(path: Path) -> None:
    """Raise InputError unless `path` is a .png or .html in an existing directory; call it before the work."""
    if path.suffix not in {".png", ".html"}:
        raise InputError(f"{path}: plots are written as .png or .html; change the suffix of --out")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the directory {path.parent} does not exist; make it first")


def write_plots(path: Path, analysis: Analysis, observations: Observations) -> None:
    """Write one PNG, or one self-contained HTML page with the picture and the report's flags."""
    drawn = png(importance_figure(analysis, observations))
    if path.suffix == ".png":
        write_atomic(path, drawn)
        return
    report = analysis.report
    lines = [report.refusal] if report.refusal else []
    notes = "".join(f"<li>{html.escape(line)}</li>" for line in [*lines, *report.flags])
    title = html.escape(f"Importance for {report.score}")
    picture = base64.b64encode(drawn).decode()
    write_atomic(
        path,
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
        f"<p>{report.rows} rows, cross-validated R2 {report.r2:.3f}, linear {report.linear_r2:.3f}</p>"
        f'<img alt="{title}" src="data:image/png;base64,{picture}"><ul>{notes}</ul></html>\n',
    )


def importance_figure(analysis: Analysis, observations: Observations) -> Figure:
    """Bars with intervals, and a heat map of each pair of features."""
    panels = 1 + len(analysis.interactions)
    columns = min(panels, COLUMNS)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(INCHES[0] * columns, INCHES[1] * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    _bars(axes[0], analysis.report)
    for axis, interaction in zip(axes[1:], analysis.interactions, strict=False):
        _heat_map(figure, axis, interaction, observations)
    for axis in axes[panels:]:
        axis.set_axis_off()
    return figure


def _bars(axis: Any, report: ImportanceReport) -> None:
    axis.set_title(f"importance for {report.score}")
    if report.consensus is None or report.intervals is None:
        axis.text(0.5, 0.5, report.refusal, ha="center", va="center", wrap=True)
        axis.set_axis_off()
        return
    names = sorted(report.consensus, key=lambda name: (report.consensus or {})[name])
    shares = [100 * report.consensus[name] for name in names]
    # A percentile interval need not hold the estimate itself, and error bars take no negative length.
    below = [
        max(share - 100 * report.intervals[name].low, 0) for name, share in zip(names, shares, strict=True)
    ]
    above = [
        max(100 * report.intervals[name].high - share, 0) for name, share in zip(names, shares, strict=True)
    ]
    axis.barh(names, shares, xerr=[below, above], color="#4c78a8", ecolor="#333333", capsize=3)
    axis.set_xlabel("share, %")


def _heat_map(figure: Figure, axis: Any, interaction: Interaction, observations: Observations) -> None:
    first, second = interaction.first, interaction.second
    picture = axis.imshow(interaction.table, origin="lower", aspect="auto", cmap="viridis")
    axis.set_title(f"H² {interaction.strength:.2f}")
    axis.set_xticks(range(interaction.table.shape[1]), _ticks(observations, second))
    axis.set_yticks(range(interaction.table.shape[0]), _ticks(observations, first))
    axis.set_xlabel(observations.features[second])
    axis.set_ylabel(observations.features[first])
    figure.colorbar(picture, ax=axis, label=observations.score)


def _ticks(observations: Observations, feature: int) -> list[str]:
    found = observations.categories.get(observations.features[feature])
    return list(found) if found else [f"{level:g}" for level in observations.levels(feature)]


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
