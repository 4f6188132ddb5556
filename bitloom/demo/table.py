"""The demo's closing tables: what each variant costs, what it still can do, and what it lost for sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from bitloom.results import RunManifest

MIB = 2**20
HEADINGS = ("MiB", "bpw", "CIDEr", "R@1", "VQA", "TTFT ms", "tok/s", "RAM MiB")
LEGEND = (
    "MiB and bpw: stored weights, scales included. R@1: text to image. TTFT: median, one request at a time; "
    "tok/s: 8 at a time. RAM: peak of the variant's worker processes."
)


DIFFERENCES_LEGEND = (
    "Variant minus base on the same samples, 95 % interval by paired bootstrap of images. Outcomes are those "
    "of `bitloom compare`: worse or better past chance (Holm over the tasks), equivalent within its margin, "
    "or undecided."
)
SHORT_NAMES = {"text_to_image_R@1": "R@1", "vqa_accuracy": "VQA"}


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of a variant minus the base's, its 95 % interval, and what `bitloom compare` makes of it."""

    name: str
    value: float
    low: float
    high: float
    outcome: str


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


def against_base(differences: Mapping[str, Sequence[Difference]]) -> Table:
    """A row a variant, a column a task: the paired difference to the base and its outcome."""
    table = Table(title="what was lost against the base", caption=DIFFERENCES_LEGEND)
    table.add_column("variant", no_wrap=True)
    names = [each.name for each in next(iter(differences.values()), ())]
    for name in names:
        table.add_column(SHORT_NAMES.get(name, name), justify="right", no_wrap=True)
    for variant, found in differences.items():
        by_name = {each.name: each for each in found}
        table.add_row(variant, *(difference(by_name.get(name)) for name in names))
    return table


def difference(found: Difference | None) -> str:
    """Value and outcome above the interval, or a dash where the runs have no such score in common."""
    if found is None:
        return "-"
    return f"{found.value:+.3f} {found.outcome}\n{found.low:+.3f} .. {found.high:+.3f}"


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
