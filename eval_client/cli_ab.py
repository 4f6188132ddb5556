"""`bitloom ab`: two models of an endpoint asked at once, and what that says of them."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.console import Console

from eval_client.ab.experiment import run_ab
from eval_client.cli_compare import show, write_comparison
from eval_client.compare.comparison import compare_runs
from eval_client.compare.margins import parse_margins
from eval_client.config import KEY_VARIABLE, parse_samples, parse_tasks, resolve_config
from eval_client.datasets.load import FORMS
from eval_client.event_loop import run_loop
from eval_client.run.progress import ProgressBars

COMPARISON_NAME = "comparison.json"


@click.command(name="ab")
@click.option("--endpoint", required=True, help="URL of an OpenAI-style server, with or without /v1.")
@click.option("--model-a", required=True, help="Model (variant) name at the endpoint: what is there.")
@click.option("--model-b", required=True, help="Model (variant) name: what might replace it.")
@click.option("--data", default="scenes:test", show_default=True, help=f"Data set: {FORMS}.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Directory; resumable.")
@click.option("--tasks", help="Some of caption,retrieval,vqa; default: all that data and endpoint can.")
@click.option("--samples", help="At most so many of each task, or caption=200,vqa=1000,retrieval=48.")
@click.option("--margin", help="What may be lost: 0.01, or CIDEr=0.05,vqa_accuracy=0.01; default 0.02.")
def command(
    endpoint: str,
    model_a: str,
    model_b: str,
    data: str,
    out: Path,
    tasks: str | None,
    samples: str | None,
    margin: str | None,
) -> None:
    """Ask two live models the same at once, in random order, and compare them: differences are B minus A.

    OUT/a and OUT/b become results directories, OUT/comparison.json and .md say what differs. Other settings
    are environment variables, as those of `bitloom eval`.
    """
    margins = parse_margins(margin)
    flags = {
        "endpoint": endpoint,
        "model": model_a,
        "data": data,
        "tasks": parse_tasks(tasks),
        "is_explicit": tasks is not None,
    }
    config = resolve_config(flags | parse_samples(samples))
    with ProgressBars(Console(stderr=True)) as progress:
        a, b = run_loop(run_ab(config, model_b, out, progress, key=os.environ.get(KEY_VARIABLE)))
    comparison = compare_runs(a, b, margins, seed=config.seed)
    write_comparison(comparison, out / COMPARISON_NAME)
    show(comparison)
