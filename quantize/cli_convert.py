"""`bitloom export` and `bitloom import`: variants in the formats of AutoAWQ and GPTQ, and back."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from quantize.foreign.export import export_variant
from quantize.foreign.formats import FORMATS, Format
from quantize.foreign.importing import import_checkpoint
from quantize.tables import footprint_table


@click.command(name="export")
@click.argument("variant", type=click.Path(path_type=Path))
@click.option("--format", "target", type=click.Choice(FORMATS), required=True, help="awq or gptq.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New directory.")
def export_command(variant: Path, target: Format, out: Path) -> None:
    """Write VARIANT as a checkpoint that engines load as awq (4 bits) or gptq (4 and 8 bits)."""
    manifest = export_variant(variant, out, target)
    Console(stderr=True).print(f"wrote {out}: {manifest.name} as {target}", markup=False, highlight=False)


@click.command(name="import")
@click.argument("checkpoint")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New directory for the variant.")
def import_command(checkpoint: str, out: Path) -> None:
    """Write CHECKPOINT (a directory or cached hub id, awq or gptq) as a variant with the same integers."""
    manifest = import_checkpoint(checkpoint, out)
    console = Console(stderr=True)
    console.print(footprint_table(manifest.name, manifest.components, manifest.total))
    console.print(f"wrote {out}", markup=False, highlight=False)
