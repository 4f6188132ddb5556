"""The demo's closing table: what each variant costs and what it still can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from bitloom.results import RunManifest

MIB = 2**20
HEADINGS = ("MiB", "bpw", "CIDEr", "R@1", "VQA", "TTFT ms", "tok/s", "RAM MiB")
LEGEND = (
    "MiB and bpw: stored weights, scales included. R@1: text to image. TTFT: median, one request at a time; "
    "tok/s: 8 at a time. RAM: peak of the variant's worker processes."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One model of the demo: its size and its run. `stored_bytes` are those of all its weights."""

    name: str
    stored_bytes: int
    bpw: float
    run: RunManifest


def summary(rows: Sequence[Row]) -> Table:
    """A row a model: size, quality, TTFT of one request at a time, tokens/s under load, peak memory."""
    table = Table(title="tiny-llava on scenes:test", caption=LEGEND)
    table.add_column("variant", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        alone, loaded, memory = row.run.sequential, row.run.loaded, row.run.memory
        ttft = None if alone is None else alone.time_to_first_token_s
        table.add_row(
            row.name,
            f"{row.stored_bytes / MIB:.2f}",
            f"{row.bpw:.2f}",
            score(row.run, "CIDEr"),
            score(row.run, "text_to_image_R@1"),
            score(row.run, "vqa_accuracy"),
            figure(None if ttft is None else ttft.p50, 1e3, ".1f"),
            figure(None if loaded is None else loaded.generated_tokens_per_s, 1, ".0f"),
            figure(None if memory is None else memory.peak_resident_bytes, 1 / MIB, ".0f"),
        )
    return table


def score(run: RunManifest, name: str) -> str:
    """A score with half the width of its 95 % interval, or a dash where the run has none of that name."""
    found = run.score(name)
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f}±{(found.high - found.low) / 2:.3f}"


def figure(value: float | None, scale: float, form: str) -> str:
    """`value * scale` in the given format, or a dash for what was not measured."""
    return "-" if value is None else format(value * scale, form)
