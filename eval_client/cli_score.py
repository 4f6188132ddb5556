"""`bitloom score`: scores result files in the official formats, without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from eval_client.metrics.gqa import GQA_VARIANTS, GqaVariant
from eval_client.metrics.vqa import VQA_VARIANTS, VqaVariant
from eval_client.scoring.caption import score_caption_files
from eval_client.scoring.gqa import score_gqa_files
from eval_client.scoring.pope import score_pope_files
from eval_client.scoring.result import FileScores
from eval_client.scoring.retrieval import score_retrieval_files
from eval_client.scoring.vqa import score_vqa_files

Command = TypeVar("Command", bound=Callable[..., Any])


def _file(flag: str, text: str) -> Callable[[Command], Command]:
    return click.option(flag, required=True, type=click.Path(path_type=Path), metavar="FILE", help=text)


_predictions = _file("--predictions", "Predictions: JSON or JSON lines, gzipped or not.")
_predicted_only = click.option(
    "--predicted-only", is_flag=True, help="Score what is predicted, though references have more."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every sample.")


@click.group()
def command() -> None:
    """Score result files in the official formats, without a server."""


@command.command()
@_file("--references", "COCO captions, Karpathy's dataset file, or a list of {image_id, refs}.")
@_predictions
@click.option("--split", default="test", show_default=True, help="Part of a Karpathy file to score on.")
@click.option("--meteor", is_flag=True, help="METEOR too: needs Java and pycocoevalcap.")
@_predicted_only
@_json
def caption(
    references: Path, predictions: Path, split: str, meteor: bool, predicted_only: bool, as_json: bool
) -> None:
    """CIDEr-D, BLEU-1..4 and ROUGE-L, as pycocoevalcap computes them; predictions {image_id, caption}."""
    scores = score_caption_files(
        references, predictions, split=split, is_partial=predicted_only, with_meteor=meteor
    )
    _show(scores, as_json)


@command.command()
@_file("--questions", "VQA questions file.")
@_file("--annotations", "VQA annotations file.")
@_predictions
@click.option("--variant", type=click.Choice(VQA_VARIANTS), required=True, help="Whose accuracy.")
@_predicted_only
@_json
def vqa(
    questions: Path,
    annotations: Path,
    predictions: Path,
    variant: VqaVariant,
    predicted_only: bool,
    as_json: bool,
) -> None:
    """VQA accuracy of predictions {question_id, answer}."""
    _show(score_vqa_files(questions, annotations, predictions, variant, is_partial=predicted_only), as_json)


@command.command()
@_file("--questions", "GQA questions file.")
@_predictions
@click.option("--variant", type=click.Choice(GQA_VARIANTS), default="official", show_default=True)
@click.option("--all", "all_questions", is_flag=True, help="Score all questions, not the balanced ones.")
@_predicted_only
@_json
def gqa(
    questions: Path,
    predictions: Path,
    variant: GqaVariant,
    all_questions: bool,
    predicted_only: bool,
    as_json: bool,
) -> None:
    """GQA exact match of predictions {questionId, prediction}."""
    scores = score_gqa_files(
        questions, predictions, variant, is_balanced=not all_questions, is_partial=predicted_only
    )
    _show(scores, as_json)


@command.command()
@_file("--questions", "POPE questions file.")
@_predictions
@_predicted_only
@_json
def pope(questions: Path, predictions: Path, predicted_only: bool, as_json: bool) -> None:
    """POPE accuracy, precision, recall, F1 and yes ratio of answers {question_id, answer}."""
    _show(score_pope_files(questions, predictions, is_partial=predicted_only), as_json)


@command.command()
@_file("--references", "COCO captions.")
@_file("--predictions", "Pairs {image_id, caption_id, score}, or an .npz matrix.")
@_json
def retrieval(references: Path, predictions: Path, as_json: bool) -> None:
    """Recall@1/5/10 in both directions, with ties told apart."""
    _show(score_retrieval_files(references, predictions), as_json)


def _show(scores: FileScores, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(scores.document(), allow_nan=False))
        return
    variant = f" ({scores.variant})" if scores.variant else ""
    table = Table(title=f"{scores.task}{variant}, {scores.samples} samples")
    table.add_column("metric")
    table.add_column("score", justify="right")
    for name, value in scores.scores.items():
        table.add_row(name, "none" if value is None else f"{value:.4f}")
    Console().print(table)
