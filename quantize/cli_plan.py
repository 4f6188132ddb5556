"""`bitloom plan show|diff|validate`: what plans come to on their checkpoints, from headers alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bitloom.errors import BitloomError, PlanError
from bitloom.plan import Plan
from quantize.planview import Difference, LayerGroup, describe_scheme, differences, group_layers
from quantize.preview import Preview, preview
from quantize.tables import footprint_table

_FILE = click.Path(path_type=Path)


@click.group(name="plan")
def command() -> None:
    """Show, compare and check plans; no weights are read."""


@command.command(name="show")
@click.argument("plan_file", type=_FILE)
@click.option("--layers", "by_layer", is_flag=True, help="One line a layer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(plan_file: Path, by_layer: bool, as_json: bool) -> None:
    """Show the scheme that each layer gets, the size, and which engine loads the result."""
    plan = Plan.read(plan_file)
    planned = preview(plan)
    if as_json:
        click.echo(json.dumps(_document(plan, planned), indent=2))
        return
    console = Console()
    if by_layer:
        for layer in planned.layers:
            scheme = describe_scheme(layer.scheme)
            console.print(f"{layer.name}  {scheme}", markup=False, highlight=False, soft_wrap=True)
    else:
        console.print(_groups_table(group_layers(planned.layers)))
    console.print(footprint_table(plan.name, planned.components, planned.total))
    for line in planned.lines():
        console.print(line, markup=False, highlight=False)


@command.command(name="diff")
@click.argument("before_file", type=_FILE)
@click.argument("after_file", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(before_file: Path, after_file: Path, as_json: bool) -> None:
    """Show what AFTER_FILE does otherwise than BEFORE_FILE, in schemes and bytes."""
    plans = Plan.read(before_file), Plan.read(after_file)
    before, after = preview(plans[0]), preview(plans[1])
    names = plans[0].name, plans[1].name
    if [layer.name for layer in before.layers] != [layer.name for layer in after.layers]:
        raise PlanError(
            f"{before_file} and {after_file} have different bases: {before.checkpoint.directory} and "
            f"{after.checkpoint.directory}; compare plans of one model"
        )
    found = differences(before.layers, after.layers)
    if as_json:
        click.echo(json.dumps(_diff_document(names, before, after, found), indent=2))
        return
    console = Console()
    if found:
        console.print(_differences_table(found, *names))
    else:
        console.print("every layer has the same scheme in both")
    saved = after.total.stored_bytes - before.total.stored_bytes
    console.print(
        f"{before.total.stored_bytes:,} bytes -> {after.total.stored_bytes:,} ({saved:+,}); "
        f"{before.total.bpw:.3f} bpw -> {after.total.bpw:.3f}",
        highlight=False,
    )


@command.command(name="validate")
@click.argument("plan_files", type=_FILE, nargs=-1, required=True)
def validate(plan_files: tuple[Path, ...]) -> None:
    """Check that each plan can be quantized; name what is wrong with every one that cannot (exit 2)."""
    console = Console()
    wrong = 0
    for path in plan_files:
        try:
            planned = preview(Plan.read(path))
        except BitloomError as exc:
            wrong += 1
            console.print(f"{path}: {exc}", markup=False, highlight=False, soft_wrap=True)
            continue
        count = sum(layer.scheme is not None for layer in planned.layers)
        line = f"{path}: valid; {count} of {len(planned.layers)} layers, {planned.total.bpw:.3f} bpw"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if wrong:
        raise PlanError(f"{wrong} of {len(plan_files)} plans are not valid; mend what is named above")


def _document(plan: Plan, planned: Preview) -> dict[str, Any]:
    return {
        "name": plan.name,
        "base": str(planned.checkpoint.directory),
        "family": planned.checkpoint.family.name,
        "layers": {layer.name: describe_scheme(layer.scheme) for layer in planned.layers},
        "total": planned.total.model_dump(mode="json"),
        "components": {name: part.model_dump(mode="json") for name, part in planned.components.items()},
        "engines": {each.engine: each.is_loadable for each in planned.support},
        "peak_bytes": planned.peak_bytes,
        "notes": list(planned.lines()),
    }


def _diff_document(
    names: tuple[str, str], before: Preview, after: Preview, found: tuple[Difference, ...]
) -> dict[str, Any]:
    return {
        "before": names[0],
        "after": names[1],
        "stored_bytes": [before.total.stored_bytes, after.total.stored_bytes],
        "bpw": [before.total.bpw, after.total.bpw],
        "differences": [
            {
                "component": each.component,
                "layer_type": each.layer_type,
                "blocks": each.blocks,
                "layers": each.layers,
                "before": describe_scheme(each.before),
                "after": describe_scheme(each.after),
            }
            for each in found
        ],
    }


def _groups_table(groups: tuple[LayerGroup, ...]) -> Table:
    table = Table(title="schemes", title_justify="left")
    for column in ("component", "type", "blocks", "layers", "weights", "scheme"):
        table.add_column(column, justify="right" if column in ("layers", "weights") else "left")
    for group in groups:
        scheme = describe_scheme(group.scheme) + (" (stored dense)" if group.stored_dense else "")
        numbers = str(group.layers), f"{group.weights:,}"
        table.add_row(group.component, group.layer_type, group.blocks, *numbers, scheme)
    return table


def _differences_table(found: tuple[Difference, ...], before: str, after: str) -> Table:
    table = Table(title="differences", title_justify="left")
    for column in ("component", "type", "blocks", "layers", before, after):
        table.add_column(column, justify="right" if column == "layers" else "left")
    for each in found:
        schemes = describe_scheme(each.before), describe_scheme(each.after)
        table.add_row(each.component, each.layer_type, each.blocks, str(each.layers), *schemes)
    return table
