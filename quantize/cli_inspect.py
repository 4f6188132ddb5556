"""`bitloom inspect`: what a variant or base checkpoint holds, and whether its files are intact."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from quantize.inspection import inspect
from quantize.tables import footprint_table, resident_table


@click.command(name="inspect")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--endpoint", metavar="URL", help="A running server: compare with what its workers report.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(directory: Path, endpoint: str | None, as_json: bool) -> None:
    """Show parameters, bytes and bits per weight of DIRECTORY, and verify its files."""
    found = inspect(directory, endpoint)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    console = Console()
    console.print(footprint_table(found.name, found.components, found.total))
    console.print(resident_table(found.components, found.total, found.served))
    state = "files verified" if found.verified else "no manifest: a base checkpoint"
    console.print(f"family {found.family}; engines {', '.join(found.engines)}; {state}", markup=False)
    for note in found.notes:
        console.print(f"note: {note}", markup=False, highlight=False)
