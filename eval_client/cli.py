"""`bitloom eval`: evaluate one model of an endpoint."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.console import Console

from eval_client.config import KEY_VARIABLE, parse_samples, parse_tasks, resolve_config
from eval_client.datasets.load import FORMS
from eval_client.event_loop import run_loop
from eval_client.report.tables import run_summary
from eval_client.run.evaluation import evaluate
from eval_client.run.progress import ProgressBars


@click.command(name="eval")
@click.option("--endpoint", required=True, help="URL of an OpenAI-style server, with or without /v1.")
@click.option("--model", required=True, help="Model (variant) name at the endpoint.")
@click.option("--data", default="scenes:test", show_default=True, help=f"Data set: {FORMS}.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Results directory; resumable.")
@click.option("--tasks", help="Some of caption,retrieval,vqa; default: all that data and endpoint can.")
@click.option("--samples", help="At most so many of each task, or caption=200,vqa=1000,retrieval=48.")
@click.option("--concurrency", type=int, help="Requests at a time; default 8.")
@click.option("--slo", help="What a good answer may take, in seconds: ttft=0.5,tpot=0.05.")
def command(
    endpoint: str,
    model: str,
    data: str,
    out: Path,
    tasks: str | None,
    samples: str | None,
    concurrency: int | None,
    slo: str | None,
) -> None:
    """Evaluate a model over HTTP: captions, retrieval, questions; latency and memory.

    Other settings are environment variables BITLOOM_EVAL_* (_PROMPTS, _VQA_VARIANT, _ARRIVALS and _RATE,
    _RETRIEVAL_MODE, _SHORTLIST, _MAX_FAILURE_RATE, _TIMEOUT_S, _SEED, ...: docs/evaluation.md); the
    endpoint's key is BITLOOM_API_KEY.
    """
    flags = {
        "endpoint": endpoint,
        "model": model,
        "data": data,
        "tasks": parse_tasks(tasks),
        "is_explicit": tasks is not None,
        "concurrency": concurrency,
        "slo": slo,
    }
    config = resolve_config(flags | parse_samples(samples))
    console = Console(stderr=True)
    with ProgressBars(console) as progress:
        manifest = run_loop(evaluate(config, out, progress, key=os.environ.get(KEY_VARIABLE)))
    Console().print(run_summary(manifest))
