"""Writes a report: the page, and its plot and sample sheet as files of their own beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bitloom.errors import InputError
from bitloom.files import write_atomic
from eval_client.report.examples import choose_examples
from eval_client.report.page import Plot, render_page
from eval_client.report.plots import latency_plot, memory_plot, quality_plot
from eval_client.report.runs import load_run
from eval_client.report.sheet import sample_sheet

DISPUTED, TYPICAL = 4, 2


def write_report(directories: Sequence[Path], out: Path, sizes: Mapping[str, Path]) -> list[Path]:
    """Write the report of finished runs; return the files written, the page first.

    Args:
        directories: results directories of `bitloom eval`, in the order of the report's columns.
        out: the page; `OUT-quality.png` and `OUT-samples.png` (without OUT's suffix) are written beside it.
        sizes: directory of each model, by its name at the endpoint, for bytes and bits per weight.

    Raises InputError for a size of no run, DataError, CheckpointError or VariantError for what is damaged.
    """
    runs = [load_run(directory, sizes) for directory in directories]
    if strangers := sizes.keys() - {run.name for run in runs}:
        names = ", ".join(run.name for run in runs)
        raise InputError(f"--variant {min(strangers)}: no run of that model; the runs are of {names}")
    examples = choose_examples(runs, disputed=DISPUTED, typical=TYPICAL)
    drawn = (
        ("Quality against bytes", quality_plot(runs)),
        ("Latency", latency_plot(runs)),
        ("Memory", memory_plot(runs)),
    )
    plots = [Plot(title, png) for title, png in drawn if png is not None]
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures = {"quality": drawn[0][1], "samples": sample_sheet(examples)}
    written = [out]
    for name, png in pictures.items():
        if png is not None:
            path = out.with_name(f"{out.stem}-{name}.png")
            write_atomic(path, png)
            written.append(path)
    write_atomic(out, render_page(runs, plots, examples))
    return written
