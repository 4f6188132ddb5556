"""`bitloom report`: one page of several runs."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from bitloom.errors import InputError
from eval_client.report.write import write_report


@click.command(name="report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN_DIR...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The HTML file to write.")
@click.option("--variant", "variants", multiple=True, help="NAME=DIR: a run's model and its directory.")
def command(runs: tuple[Path, ...], out: Path, variants: tuple[str, ...]) -> None:
    """Write a self-contained HTML report of finished runs, and its plot and samples as PNG beside it."""
    for path in write_report(runs, out, parse_variants(variants)):
        Console().print(str(path), markup=False, highlight=False, soft_wrap=True)


def parse_variants(values: tuple[str, ...]) -> dict[str, Path]:
    """`NAME=DIR` strings by name. Raises InputError for one without a name or a directory."""
    parsed = {}
    for value in values:
        name, _, directory = value.partition("=")
        if not name or not directory:
            raise InputError(f"--variant {value!r}: expected NAME=DIR, the model's name and its directory")
        parsed[name] = Path(directory)
    return parsed
