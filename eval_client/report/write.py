"""Writes a report: HTML, Markdown and JSON, and its pictures as files of their own beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bitloom.errors import InputError
from bitloom.files import write_atomic
from eval_client.report.document import build_report
from eval_client.report.examples import METRICS, Example
from eval_client.report.markdown import render_markdown
from eval_client.report.page import Plot, render_page
from eval_client.report.plots import latency_plot, memory_plot, quality_plot, scores_plot
from eval_client.report.prometheus import prometheus_text, push
from eval_client.report.runs import ReportRun, load_run
from eval_client.report.sheet import sample_sheet

SUFFIXES = (".html", ".md", ".json")
_ON_SHEET = 6
"""Samples of each task on the sheet."""


def write_report(
    directories: Sequence[Path], out: Path, sizes: Mapping[str, Path], prometheus: str | None = None
) -> list[Path]:
    """Write the report of finished runs; return the files written, the page first.

    Args:
        directories: results directories of `bitloom eval`, in the order of the report's columns.
        out: one of OUT.html, OUT.md and OUT.json; all are written, and `OUT-NAME.png` beside them.
        sizes: directory of each model, by its name at the endpoint, for bytes and bits per weight.
        prometheus: where figures for dashboards go: a text file, or the http(s) URL of a Pushgateway.

    Raises InputError for a size of no run, EndpointError for a push that fails, and DataError,
    CheckpointError or VariantError for what is damaged.
    """
    if out.suffix not in SUFFIXES:
        raise InputError(f"--out {out}: expected a name that ends in {', '.join(SUFFIXES)}")
    runs = _named_apart([load_run(directory, sizes) for directory in directories])
    models = [run.manifest.model for run in runs]
    if strangers := sizes.keys() - set(models):
        names = ", ".join(models)
        raise InputError(f"--variant {min(strangers)}: no run of that model; the runs are of {names}")
    report = build_report(runs)
    plots = _plots(runs)
    contents: dict[Path, str | bytes] = {out.with_suffix(".html"): render_page(report, plots)}
    pictures = {plot.title: (plot.name, plot.png) for plot in plots}
    if sheet := sample_sheet(_for_sheet(report.examples)):
        pictures["Samples"] = "samples", sheet
    files = {title: f"{out.stem}-{name}.png" for title, (name, _) in pictures.items()}
    contents[out.with_suffix(".md")] = render_markdown(report, files)
    contents[out.with_suffix(".json")] = report.file().model_dump_json(indent=2) + "\n"
    contents |= {out.with_name(files[title]): png for title, (_, png) in pictures.items()}
    is_push = prometheus is not None and prometheus.startswith(("http://", "https://"))
    if prometheus is not None and not is_push:
        contents[Path(prometheus)] = prometheus_text(runs)
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    if prometheus is not None and is_push:
        push(runs, prometheus)
    return list(contents)


def _plots(runs: Sequence[ReportRun]) -> list[Plot]:
    drawn = (
        ("quality", "Quality against bytes", quality_plot(runs)),
        ("scores", "Quality", scores_plot(runs)),
        ("latency", "Latency", latency_plot(runs)),
        ("memory", "Memory", memory_plot(runs)),
    )
    return [Plot(name, title, png) for name, title, png in drawn if png is not None]


def _for_sheet(examples: Sequence[Example]) -> list[Example]:
    """The first samples of each task."""
    by_task = [[each for each in examples if each.task == task] for task in METRICS]
    return [each for own in by_task for each in own[:_ON_SHEET]]


def _named_apart(runs: Sequence[ReportRun]) -> list[ReportRun]:
    """Runs of one model are told apart by their directories."""
    times = Counter(run.name for run in runs)
    return [
        replace(run, name=f"{run.name} ({run.directory.name})") if times[run.name] > 1 else run
        for run in runs
    ]
