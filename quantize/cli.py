"""`bitloom quantize`: a plan file to a variant directory."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bitloom.plan import Plan
from bitloom.variant import LayerRecord, VariantManifest
from quantize.preview import Preview, preview
from quantize.report import write_report
from quantize.tables import footprint_table


@click.command(name="quantize")
@click.argument("plan_file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="New directory for the variant.")
@click.option("--store", type=click.Path(path_type=Path), help="Artifact store (default: $BITLOOM_STORE).")
@click.option("--report", type=click.Path(path_type=Path), help="Directory for a report of output errors.")
@click.option("--device", default="cpu", show_default=True, help="Where samples are run: cpu, cuda, cuda:N.")
@click.option("--dry-run", is_flag=True, help="Resolve the plan and show its size; read no weights.")
def command(
    plan_file: Path, out: Path | None, store: Path | None, report: Path | None, device: str, dry_run: bool
) -> None:
    """Quantize the base checkpoint that PLAN_FILE names by its rules."""
    console = Console(stderr=True)
    if out is None and not dry_run:
        raise click.UsageError("give --out DIR for the variant, or --dry-run to see its size only")
    plan = Plan.read(plan_file)
    planned = preview(plan)
    if out is None or dry_run:
        _show_preview(console, plan, planned)
        return
    count = sum(layer.scheme is not None for layer in planned.layers)
    manifest = _quantize(console, plan, out, store, count, device, is_measured=report is not None)
    _show_result(console, out, manifest)
    if report is not None:
        write_report(manifest, report)
        console.print(f"wrote {report}", markup=False, highlight=False)


def _quantize(
    console: Console,
    plan: Plan,
    out: Path,
    store: Path | None,
    layer_count: int,
    device: str,
    *,
    is_measured: bool,
) -> VariantManifest:
    from quantize.device import find_device  # torch: a refused plan need not wait for it
    from quantize.pipeline import quantize

    computing = find_device(device)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        calibration = progress.add_task(f"calibrating {plan.name}", total=None, visible=False)
        task = progress.add_task(f"quantizing {plan.name}", total=layer_count)

        def calibrated(_name: str, done: int, total: int) -> None:
            progress.update(calibration, completed=done, total=total, visible=True)

        def advance(record: LayerRecord) -> None:
            if record.method is not None:
                progress.advance(task)

        return quantize(
            plan,
            out,
            store=store,
            is_measured=is_measured,
            device=computing,
            on_unit=calibrated,
            on_layer=advance,
        )


def _show_preview(console: Console, plan: Plan, planned: Preview) -> None:
    console.print(footprint_table(plan.name, planned.components, planned.total))
    for line in planned.lines():
        console.print(line, markup=False, highlight=False)


def _show_result(console: Console, out: Path, manifest: VariantManifest) -> None:
    console.print(footprint_table(manifest.name, manifest.components, manifest.total))
    console.print(f"wrote {out}", markup=False, highlight=False)
