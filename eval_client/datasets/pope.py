"""POPE's question files: JSON lines, each a yes/no question about one object."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from bitloom.errors import DataError
from eval_client.datasets.documents import ForeignModel, check_unique, parse_list
from eval_client.datasets.folder import ImageFolder
from eval_client.datasets.model import QuestionItem

EXPECTED = (
    "POPE's lines of {'question_id', 'image', 'text', 'label': 'yes' or 'no'}, which is one of "
    "output/coco/coco_pope_{random,popular,adversarial}.json of github.com/AoiDragon/POPE"
)


class _Question(ForeignModel):
    question_id: str
    image: str
    text: str
    label: Literal["yes", "no"]


def parse_pope(path: Path, document: Any, folder: ImageFolder) -> list[QuestionItem]:
    """Questions in file order; the answer is the label, and the label is the kind. Raises DataError."""
    records = [document] if isinstance(document, dict) else document
    if not isinstance(records, list) or not records:
        raise DataError(f"{path}: no questions in it; expected {EXPECTED}")
    questions = parse_list(path, _Question, records, EXPECTED)
    check_unique(path, "question id", (each.question_id for each in questions))
    return [
        QuestionItem(
            each.question_id,
            folder.image(Path(each.image).stem, each.image),
            each.text,
            (each.label,),
            each.label,
        )
        for each in questions
    ]
