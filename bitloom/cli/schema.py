"""`bitloom schema`: print the JSON Schema of a file that Bitloom reads or writes."""

from __future__ import annotations

import json

import click
from rich.console import Console

from bitloom.plan import Plan
from bitloom.results import RunManifest, SampleRecord
from bitloom.schema import Schema
from bitloom.variant import VariantManifest

SCHEMAS: dict[str, type[Schema]] = {
    "plan": Plan,
    "variant": VariantManifest,
    "run": RunManifest,
    "sample": SampleRecord,
}


@click.command(name="schema")
@click.argument("name", type=click.Choice(sorted(SCHEMAS)))
def command(name: str) -> None:
    """Print the JSON Schema of a plan, a variant manifest, a run's results or one of its samples."""
    document = SCHEMAS[name].model_json_schema()
    Console(soft_wrap=True).print(json.dumps(document, indent=2), markup=False, highlight=False)
