from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitloom.errors import DataError
from eval_client.scoring.retrieval import score_retrieval_files

Write = Callable[[str, Any], Path]

COCO = {
    "annotations": [
        {"id": 10, "image_id": 1, "caption": "a"},
        {"id": 11, "image_id": 1, "caption": "b"},
        {"id": 12, "image_id": 2, "caption": "c"},
    ]
}
SCORES = [[0.1, 0.9, 0.5], [0.2, 0.3, 0.3]]


def _pairs() -> list[dict[str, float]]:
    return [
        {"image_id": image, "caption_id": 10 + column, "score": score}
        for image, row in zip((1, 2), SCORES, strict=True)
        for column, score in enumerate(row)
    ]


def test_pairs_and_matrix_agree(write: Write, tmp_path: Path) -> None:
    references = write("coco.json", COCO)
    by_pairs = score_retrieval_files(references, write("pairs.jsonl", _pairs()))
    matrix = tmp_path / "scores.npz"
    np.savez(matrix, scores=np.array(SCORES), image_ids=[1, 2], caption_ids=[10, 11, 12])
    assert score_retrieval_files(references, matrix) == by_pairs
    assert by_pairs.scores["image_to_text_R@1"] == 0.75  # image 2: one of two captions that tie
    assert by_pairs.scores["image_to_text_R@1_optimistic"] == 1.0
    assert by_pairs.scores["image_to_text_R@1_pessimistic"] == 0.5
    assert by_pairs.scores["text_to_image_R@1"] == pytest.approx(1 / 3)
    assert by_pairs.per_sample[1] == {"image_id": 2, "R@1": 0.5, "R@5": 1.0, "R@10": 1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pairs: [*pairs, pairs[0]], r"image 1 and caption 10 come twice"),
        (lambda pairs: pairs[:3], r"no pair of image 2"),
        (lambda pairs: [{**pairs[0], "image_id": 9}], r"image 9 is not in the references"),
        (lambda pairs: [{**pairs[0], "caption_id": 9}], r"caption 9 is not in the references"),
        (
            lambda pairs: [{**pairs[0], "score": float("nan")}],
            r"score of image 1 and caption 10 is not a number",
        ),
        (lambda pairs: [{**pairs[0], "score": "high"}], r"record 0 \(image_id 1\): score"),
    ],
)
def test_bad_pairs(write: Write, change: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        score_retrieval_files(write("coco.json", COCO), write("pairs.json", change(_pairs())))


def test_bad_matrix(write: Write, tmp_path: Path) -> None:
    references = write("coco.json", COCO)
    matrix = tmp_path / "scores.npz"
    matrix.write_bytes(b"PK no archive")
    with pytest.raises(DataError, match=r"scores.npz: cannot be read"):
        score_retrieval_files(references, matrix)
    np.savez(matrix, scores=np.zeros((1, 3)), image_ids=[1, 2], caption_ids=[10, 11, 12])
    with pytest.raises(DataError, match=r"shape \(1, 3\) for 2 images and 3 captions"):
        score_retrieval_files(references, matrix)
