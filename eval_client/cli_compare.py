"""`bitloom compare`: what two runs of the same samples say about each other."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from bitloom.errors import InputError
from bitloom.files import write_atomic
from eval_client.compare.comparison import SEED, compare_runs
from eval_client.compare.margins import parse_margins
from eval_client.compare.model import Comparison
from eval_client.compare.render import summary, to_markdown

_SUFFIXES = {".json", ".md"}
_NARROWEST = 80


@click.command(name="compare")
@click.argument("run_a", type=click.Path(path_type=Path), metavar="RUN_A")
@click.argument("run_b", type=click.Path(path_type=Path), metavar="RUN_B")
@click.option("--margin", help="What may be lost: 0.01, or CIDEr=0.05,vqa_accuracy=0.01; default 0.02.")
@click.option("--out", type=click.Path(path_type=Path), help="FILE.json or FILE.md; both are written.")
@click.option("--json", "is_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--seed", type=int, default=SEED, show_default=True, help="Of the resampling.")
def command(run_a: Path, run_b: Path, margin: str | None, out: Path | None, is_json: bool, seed: int) -> None:
    """Compare two results directories on the same samples: differences are B minus A.

    The default margin is 0.02, and of CIDEr, which has no bound, 2 % of the better run's.
    """
    if out is not None and out.suffix not in _SUFFIXES:
        raise InputError(f"--out {out}: expected a name that ends in .json or .md")
    comparison = compare_runs(run_a, run_b, parse_margins(margin), seed=seed)
    if out is not None:
        write_comparison(comparison, out)
    if is_json:
        click.echo(comparison.model_dump_json(indent=2))
    else:
        show(comparison)


def show(comparison: Comparison) -> None:
    """Print it; where nobody's terminal is as wide as its tables, figures still stand there whole."""
    console = Console()
    console.width = max(console.width, _NARROWEST)
    for part in summary(comparison):
        console.print(part)


def write_comparison(comparison: Comparison, out: Path) -> list[Path]:
    """Write it as JSON and as Markdown, under the name of `out` with both suffixes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    contents = {".json": comparison.model_dump_json(indent=2) + "\n", ".md": to_markdown(comparison)}
    for suffix, content in contents.items():
        write_atomic(out.with_suffix(suffix), content)
    return [out.with_suffix(suffix) for suffix in contents]
