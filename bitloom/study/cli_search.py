"""`bitloom study search`: the best plan for a budget, measured on a live engine."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from bitloom.errors import InputError


@click.command(name="search")
@click.argument("base")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Directory for what is found.")
@click.option("--budget", help="The best plan of at most this size: 3.5bpw, or bytes (2MiB).")
@click.option("--floor", help="The smallest plan that keeps a share of the base's score: CIDEr=0.98.")
@click.option(
    "--data",
    nargs=2,
    default=("scenes:validation", "scenes:test"),
    show_default=True,
    help="Two data sets: what plans are searched on, and what the plans found are compared on.",
)
@click.option("--tasks", default="caption,vqa,retrieval", show_default=True, help="What quality means.")
@click.option("--samples", type=click.IntRange(min=2), default=200, show_default=True, help="A task.")
@click.option("--lookups", type=click.IntRange(min=2), default=24, show_default=True, help="Plans measured.")
@click.option("--margin", type=click.FloatRange(min=0), default=0.0, help="What counts as equal.")
def command(
    base: str,
    out: Path,
    budget: str | None,
    floor: str | None,
    data: tuple[str, str],
    tasks: str,
    samples: int,
    lookups: int,
    margin: float,
) -> None:
    """Search plans of BASE over components, block groups, layer types, methods and bits.

    OUT/search.json has everything found. The best two plans are compared with uniform ones on data that the
    search never saw, and are built, served and measured there.
    """
    from bitloom.study.cli_run import parse_tasks
    from bitloom.study.live.searching import SearchConfig, search_base
    from bitloom.study.search.table import render

    if (budget is None) == (floor is None):
        raise InputError("give either --budget (the best plan under it) or --floor (the smallest above it)")
    config = SearchConfig(
        base=base,
        budget=budget,
        floor=floor,
        data=data[0],
        held_out=data[1],
        tasks=parse_tasks(tasks),
        samples=samples,
        lookups=lookups,
        margin=margin,
    )
    Console().print(render(search_base(config, out)))
    Console().print(f"plans, variants and runs: {out}", markup=False)
