"""Tables of sizes for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from bitloom.plan import Component
from bitloom.variant import Footprint

if TYPE_CHECKING:
    from quantize.inspection import ServedMemory

_COLUMNS = ("component", "parameters", "quantized", "stored bytes", "bpw", "bpw (paper)")


def footprint_table(title: str, components: Mapping[Component, Footprint], total: Footprint) -> Table:
    """A row a component, and one for the whole."""
    table = Table(title=title, title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "component" else "right")
    for name, footprint in components.items():
        table.add_row(name, *_cells(footprint))
    table.add_section()
    table.add_row("all", *_cells(total))
    return table


def resident_table(
    components: Mapping[Component, Footprint], total: Footprint, served: Sequence[ServedMemory]
) -> Table:
    """Predicted bytes in memory by engine, and beside them what workers say that they came to."""
    table = Table(title="bytes in memory", title_justify="left")
    table.add_column("component")
    for engine in total.resident_bytes:
        table.add_column(f"{engine}, predicted", justify="right")
    for worker in served:
        table.add_column(f"{worker.variant}, loaded", justify="right")
    for name, footprint in components.items():
        loaded = [f"{worker.weight_bytes.get(name, 0):,}" for worker in served]
        table.add_row(name, *(f"{count:,}" for count in footprint.resident_bytes.values()), *loaded)
    table.add_section()
    sums = [f"{sum(worker.weight_bytes.values()):,}" for worker in served]
    table.add_row("all", *(f"{count:,}" for count in total.resident_bytes.values()), *sums)
    blanks = [""] * len(total.resident_bytes)
    for label, values in (
        ("resident set when loaded", [worker.resident_bytes for worker in served]),
        ("peak while loading", [worker.peak_bytes for worker in served]),
    ):
        if any(value is not None for value in values):
            table.add_row(label, *blanks, *("-" if value is None else f"{value:,}" for value in values))
    return table


def _cells(footprint: Footprint) -> tuple[str, ...]:
    return (
        f"{footprint.parameters:,}",
        f"{footprint.quantized_parameters:,}",
        f"{footprint.stored_bytes:,}",
        f"{footprint.bpw:.3f}",
        f"{footprint.bpw_paper:.3f}",
    )
