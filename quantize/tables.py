"""Tables of sizes for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from bitloom.plan import Component
from bitloom.variant import Footprint

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


def _cells(footprint: Footprint) -> tuple[str, ...]:
    return (
        f"{footprint.parameters:,}",
        f"{footprint.quantized_parameters:,}",
        f"{footprint.stored_bytes:,}",
        f"{footprint.bpw:.3f}",
        f"{footprint.bpw_paper:.3f}",
    )
