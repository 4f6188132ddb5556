"""`bitloom report`: one page of several runs."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from bitloom.errors import InputError
from eval_client.report.write import write_report


@click.command(name="report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN_DIR...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="FILE.html; FILE.md and FILE.json too."
)
@click.option("--variant", "variants", multiple=True, help="NAME=DIR: a run's model and its directory.")
@click.option("--prometheus", help="FILE or URL: also write the figures as text, or push them there.")
def command(runs: tuple[Path, ...], out: Path, variants: tuple[str, ...], prometheus: str | None) -> None:
    """Write a report of finished runs: one self-contained HTML page, Markdown, JSON, and pictures as PNG.

    Every run is compared with the first.
    """
    for path in write_report(runs, out, parse_variants(variants), prometheus):
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
