"""`bitloom study`: what matters in a grid's results, the best plan for a budget, the plans of a grid."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from bitloom.errors import InputError
from bitloom.schema import Schema
from bitloom.study.cli_report import command as report
from bitloom.study.cli_run import command as run
from bitloom.study.cli_search import command as search

EXISTING = click.Path(path_type=Path, dir_okay=False)


@click.group(name="study")
def command() -> None:
    """Study many plans: which component matters, and which plan is best for a budget."""


@command.command(name="importance")
@click.argument("results", type=EXISTING)
@click.option("--score", required=True, help="Column to explain.")
@click.option("--features", required=True, help="Columns that may matter, separated by commas.")
@click.option("--out", type=click.Path(path_type=Path), help="Plots: a .png, or a self-contained .html.")
@click.option("--resamples", type=click.IntRange(min=10), default=50, show_default=True, help="Bootstrap.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def importance(
    results: Path, score: str, features: str, out: Path | None, resamples: int, seed: int, as_json: bool
) -> None:
    """Say which feature matters for a score in RESULTS (.csv, .parquet), and how far to trust it."""
    # scikit-learn and shap take seconds to import, which `bitloom --help` must not pay for.
    from bitloom.study.importance.analysis import Effort, analyse
    from bitloom.study.importance.plots import check_target, write_plots
    from bitloom.study.importance.table import render
    from bitloom.study.observations import read_observations

    if out is not None:
        check_target(out)
    observations = read_observations(results, score=score, features=_names(features))
    analysis = analyse(observations, Effort(resamples=resamples, seed=seed))
    if out is not None:
        write_plots(out, analysis, observations)
    if as_json:
        _print_json(analysis.report)
    else:
        Console().print(render(analysis.report))


@command.command(name="replay")
@click.option("--results", required=True, type=EXISTING, help="A measured grid to replay the search on.")
@click.option("--score", required=True, help="Column to be high.")
@click.option("--features", required=True, help="Columns that make up a plan, separated by commas.")
@click.option("--size", required=True, help="Column with the plan's size: bits per weight or bytes.")
@click.option("--budget", help="The best plan of at most this size: 4.5bpw, or bytes (114MiB).")
@click.option("--floor", help="The smallest plan that keeps a share of the largest's score: CIDEr=0.98.")
@click.option("--lookups", type=click.IntRange(min=2), default=24, show_default=True, help="Plans measured.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def replay(
    results: Path,
    score: str,
    features: str,
    size: str,
    budget: str | None,
    floor: str | None,
    lookups: int,
    as_json: bool,
) -> None:
    """Search a measured grid as if its rows were still to be measured: what a search would find."""
    from bitloom.study.observations import read_observations
    from bitloom.study.search.replay import Replay
    from bitloom.study.search.request import budget_in, parse_budget, parse_floor
    from bitloom.study.search.table import render

    if (budget is None) == (floor is None):
        raise InputError("give either --budget (the best plan under it) or --floor (the smallest above it)")
    limit = None if budget is None else budget_in(parse_budget(budget), size)
    observations = read_observations(results, score=score, features=_names(features), size=size)
    grid = Replay(observations, size)
    if limit is not None:
        found = grid.under_budget(limit, lookups=lookups)
    else:
        found = grid.above_floor(parse_floor(floor or "", score), lookups=lookups)
    if as_json:
        _print_json(found)
    else:
        Console().print(render(found))


@command.command(name="plans")
@click.argument("grid")
@click.option("--base", help="Checkpoint of the plans, in place of the grid's.")
@click.option("--json", "as_json", is_flag=True, help="Print one plan a line as JSON.")
def plans(grid: str, base: str | None, as_json: bool) -> None:
    """List the plans of GRID (a YAML file, or a preset's name) in the order in which they are run."""
    from bitloom.study.grid import read_grid
    from bitloom.study.grid_expansion import expand

    console = Console(soft_wrap=True)
    for entry in expand(read_grid(grid, base=base)):
        text = entry.plan.model_dump_json(exclude_none=True) if as_json else entry.plan.name
        console.print(text, markup=False, highlight=False)


command.add_command(report)
command.add_command(run)
command.add_command(search)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError(f"--features {text!r} has an empty name; separate column names by single commas")
    return names


def _print_json(report: Schema) -> None:
    Console(soft_wrap=True).print(report.model_dump_json(indent=2), markup=False, highlight=False)
