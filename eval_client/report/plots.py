"""The report's plots, as PNG bytes. Drawn without a display and without global state."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from eval_client.report.fonts import label
from eval_client.report.runs import ReportRun
from eval_client.run.timed import LOADED, SEQUENTIAL

MIB = 2**20
QUALITY = (
    ("CIDEr", "captioning: CIDEr-D"),
    ("text_to_image_R@1", "retrieval: text to image R@1"),
    ("vqa_accuracy", "question answering: accuracy"),
    ("gqa_accuracy", "GQA: accuracy"),
    ("pope_accuracy", "POPE: accuracy"),
)
LATENCIES = (
    (SEQUENTIAL, True, "TTFT, one request at a time, ms"),
    (LOADED, True, "TTFT under load, ms"),
    (LOADED, False, "whole request under load, ms"),
)
COLORS = ("#0b6e99", "#d9730d", "#448361", "#9f2f6b", "#6940a5", "#937264", "#cb912f", "#37352f")


def color_of(index: int) -> str:
    """The colour of run number `index`, the same in every plot and table."""
    return COLORS[index % len(COLORS)]


def quality_plot(runs: Sequence[ReportRun]) -> bytes | None:
    """Each task's score against stored bytes, with 95 % intervals; None where no run has a size."""
    sized = [(index, run) for index, run in enumerate(runs) if run.size is not None]
    shown = [(name, title) for name, title in QUALITY if any(run.manifest.score(name) for _, run in sized)]
    if not sized or not shown:
        return None
    figure = Figure(figsize=(4.1 * len(shown), 3.6), layout="constrained")
    for place, (name, title) in enumerate(shown, start=1):
        axes = figure.add_subplot(1, len(shown), place)
        for index, run in sized:
            _point(axes, run, name, color_of(index))
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("stored weights, MiB")
        axes.margins(x=0.15, y=0.2)
        if name != "CIDEr":
            axes.set_ylim(top=min(axes.get_ylim()[1], 1.01))
        axes.grid(visible=True, alpha=0.25)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return _png(figure)


def scores_plot(runs: Sequence[ReportRun]) -> bytes | None:
    """Every score of every run with its 95 % interval, CIDEr on a scale of its own; None without any."""
    names = list(dict.fromkeys(score.name for run in runs for score in run.manifest.scores))
    panels = [[name for name in names if name == "CIDEr"], [name for name in names if name != "CIDEr"]]
    shown = [panel for panel in panels if panel]
    if not shown:
        return None
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    grid = figure.add_gridspec(1, len(shown), width_ratios=[max(1.5, len(panel)) for panel in shown])
    for place, panel in enumerate(shown):
        axes = figure.add_subplot(grid[0, place])
        for index, run in enumerate(runs):
            shift = (index - (len(runs) - 1) / 2) * 0.7 / len(runs)
            _draw_scores(axes, run, panel, shift, color_of(index))
        axes.set_xticks(range(len(panel)), [label(name) for name in panel], rotation=20, fontsize=8)
        axes.set_xlim(-0.6, len(panel) - 0.4)
        axes.grid(visible=True, axis="y", alpha=0.25)
    figure.axes[-1].legend(frameon=False, fontsize=8)
    return _png(figure)


def latency_plot(runs: Sequence[ReportRun]) -> bytes | None:
    """Cumulative distributions of TTFT (alone, under load) and of request latency; None without any."""
    if not any(_latencies(run, kind, is_first) for kind, is_first, _ in LATENCIES for run in runs):
        return None
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    for place, (kind, is_first, title) in enumerate(LATENCIES, start=1):
        axes = figure.add_subplot(1, len(LATENCIES), place)
        for index, run in enumerate(runs):
            values = np.sort(_latencies(run, kind, is_first)) * 1000
            if len(values):
                share = np.arange(1, len(values) + 1) / len(values)
                axes.step(values, share, where="post", label=label(run.name), color=color_of(index))
        axes.set_xlabel(title)
        axes.set_ylabel("share of requests")
        axes.set_ylim(0, 1.02)
        axes.grid(visible=True, alpha=0.25)
    figure.axes[0].legend(frameon=False, fontsize=8)
    return _png(figure)


def memory_plot(runs: Sequence[ReportRun]) -> bytes | None:
    """Memory of the serving processes over each run's time; None where none was measured.

    GPU bytes are dashed; the share of the KV cache in use is dotted, on the right.
    """
    measured = [(index, run) for index, run in enumerate(runs) if run.memory]
    if not measured:
        return None
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    axes = figure.add_subplot(1, 1, 1)
    for index, run in measured:
        start = run.memory[0].at_s
        times = [sample.at_s - start for sample in run.memory]
        sizes = [sample.resident_bytes / MIB for sample in run.memory]
        axes.plot(times, sizes, label=label(run.name), color=color_of(index))
        _draw_gpu(axes, run, color_of(index))
    axes.set_xlabel("seconds of the run")
    axes.set_ylabel("MiB")
    axes.set_ylim(0, 1.12 * axes.get_ylim()[1])
    axes.grid(visible=True, alpha=0.25)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    _draw_cache(axes, measured)
    return _png(figure)


def _draw_cache(axes: Any, measured: Sequence[tuple[int, ReportRun]]) -> None:
    """On an axis of its own, where any run has it."""
    shares = {
        index: [
            (each.at_s - run.memory[0].at_s, each.kv_cache_share)
            for each in run.memory
            if each.kv_cache_share is not None
        ]
        for index, run in measured
    }
    if any(shares.values()):
        right = axes.twinx()
        right.set_ylabel("KV cache in use (dotted)")
        right.set_ylim(0, 1)
        for index, points in shares.items():
            if points:
                right.plot(*zip(*points, strict=True), color=color_of(index), linestyle=":")


def _draw_gpu(axes: Any, run: ReportRun, color: str) -> None:
    start = run.memory[0].at_s
    used = [(each.at_s - start, each.gpu_bytes / MIB) for each in run.memory if each.gpu_bytes is not None]
    if used:
        axes.plot(*zip(*used, strict=True), label=f"{label(run.name)}, GPU", color=color, linestyle="--")


def _draw_scores(axes: Any, run: ReportRun, names: Sequence[str], shift: float, color: str) -> None:
    """Points with error bars, beside those of the other runs."""
    found = [(place, run.manifest.score(name)) for place, name in enumerate(names)]
    scores = [(place + shift, score) for place, score in found if score is not None]
    values = [score.value for _, score in scores]
    below = [max(0.0, s.value - (s.value if s.low is None else s.low)) for _, s in scores]
    above = [max(0.0, (s.value if s.high is None else s.high) - s.value) for _, s in scores]
    places = [place for place, _ in scores]
    axes.errorbar(
        places,
        values,
        yerr=[below, above],
        fmt="o",
        capsize=3,
        markersize=4,
        color=color,
        label=label(run.name),
    )


def _point(axes: Any, run: ReportRun, name: str, color: str) -> None:
    score = run.manifest.score(name)
    if score is None or run.size is None:
        return
    low = score.value if score.low is None else score.low
    high = score.value if score.high is None else score.high
    axes.errorbar(
        run.size.stored_bytes / MIB,
        score.value,
        yerr=[[max(0.0, score.value - low)], [max(0.0, high - score.value)]],
        fmt="o",
        capsize=3,
        color=color,
        label=f"{label(run.name)} ({run.size.bpw:.2f} bpw)",
    )


def _latencies(run: ReportRun, kind: str, is_first: bool) -> list[float]:
    """Seconds to the first chunk, or to the end, of a timed pass' answered requests."""
    records = [each for each in run.timed if each.kind == kind]
    if is_first:
        return [each.chunk_times_s[0] for each in records if each.chunk_times_s]
    return [each.end_s for each in records if each.end_s is not None]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
