"""`python -m zoo.train llava|blip2`: train a model of the zoo and write its checkpoint directory."""

import logging
from pathlib import Path

import click
import torch

from bitloom.errors import BitloomError
from zoo.train.export import export
from zoo.train.loop import train
from zoo.train.settings import RECIPES, Family


@click.command()
@click.argument("family", type=click.Choice(sorted(RECIPES)))
@click.option("--out", type=click.Path(path_type=Path), help="Model directory [zoo/tiny-FAMILY].")
@click.option("--run", type=click.Path(path_type=Path), help="Checkpoint and log [out/zoo/FAMILY].")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [all cores].")
def main(family: Family, out: Path | None, run: Path | None, threads: int | None) -> None:
    """Train FAMILY by its recipe; a run that was stopped goes on where it was."""
    run = run or Path("out/zoo") / family
    run.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=run / "train.log", level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    if threads:
        torch.set_num_threads(threads)
    try:
        student = train(RECIPES[family], run / "checkpoint.pt")
        out = out or Path("zoo") / f"tiny-{family}"
        export(family, student, out)
    except BitloomError as exc:
        click.echo(f"error: {exc}", err=True)
        raise SystemExit(exc.exit_code) from exc
    click.echo(f"wrote {out}; log and checkpoint in {run}; measure it with `python -m zoo.evaluate {family}`")


if __name__ == "__main__":
    main()
