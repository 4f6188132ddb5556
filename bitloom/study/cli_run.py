"""`bitloom study run`: measure the plans of a grid."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bitloom.errors import InputError
from bitloom.study.grid_expansion import GridEntry

TASKS = ("caption", "vqa", "retrieval")


@click.command(name="run")
@click.argument("grid")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Results directory; resumable.")
@click.option("--base", help="Checkpoint of the plans, in place of the grid's.")
@click.option("--data", default="scenes:validation", show_default=True, help="Data set that plans are asked.")
@click.option("--tasks", default="caption,vqa", show_default=True, help="Some of caption,vqa,retrieval.")
@click.option("--samples", type=click.IntRange(min=2), default=200, show_default=True, help="Of each task.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Engines at a time."
)
@click.option(
    "--ray", metavar="ADDRESS", help="Ray cluster that runs the engines (`auto`, `local`, HOST:PORT)."
)
def command(
    grid: str, out: Path, base: str | None, data: str, tasks: str, samples: int, workers: int, ray: str | None
) -> None:
    """Measure all plans of GRID (a YAML file or a preset) by swapping weights in live engines.

    Rows are written to OUT/results.csv as they come, and to OUT/results.parquet at the end.
    """
    from bitloom.study.session import Session, SessionConfig

    config = SessionConfig(
        grid=grid, base=base, data=data, tasks=parse_tasks(tasks), samples=samples, workers=workers, ray=ray
    )
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Session(config, out) as session, Progress(*columns, console=console) as progress:
        bar = progress.add_task(session.grid.name, total=len(session.entries), completed=session.done)

        def advance(entry: GridEntry, done: int, _total: int) -> None:
            progress.update(bar, completed=done, description=entry.plan.name)

        table = session.run(advance)
    failed = len(table.hashes("failed"))
    Console().print(
        f"{len(table.hashes('measured'))} plans measured, {failed} failed: {table.path}", markup=False
    )


def parse_tasks(text: str) -> tuple[str, ...]:
    """`caption,vqa` as a tuple; raise InputError for an unknown or repeated task."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in TASKS or names.count(name) > 1:
            raise InputError(
                f"--tasks {text!r}: {name!r} is unknown or given twice; choose from {', '.join(TASKS)}"
            )
    return names
