from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitloom.errors import DataError
from eval_client.scoring.caption import score_caption_files

Write = Callable[[str, Any], Path]

COCO = {
    "images": [{"id": 2}, {"id": 1}],
    "annotations": [
        {"id": 10, "image_id": 1, "caption": "A dog on a bed."},
        {"id": 11, "image_id": 2, "caption": "Two cats."},
        {"id": 12, "image_id": 1, "caption": "a dog sleeps on a bed"},
    ],
}
RESULTS = [{"image_id": 1, "caption": "a dog on a bed"}, {"image_id": 2, "caption": "a cat"}]


def test_coco_files_in_the_order_of_their_images(write: Write) -> None:
    scores = score_caption_files(write("coco.json", COCO), write("results.json", RESULTS))
    assert [sample["image_id"] for sample in scores.per_sample] == [2, 1]
    assert scores.scores["Bleu_1"] == pytest.approx(5 / 7, abs=1e-6)
    assert scores.per_sample[1]["ROUGE_L"] == 1.0


def test_formats_agree(write: Write) -> None:
    results = write("results.json", RESULTS)
    coco = score_caption_files(write("coco.json", COCO), results)
    spice = [
        {"image_id": 2, "refs": ["Two cats."], "test": "a cat"},
        {"image_id": 1, "refs": ["A dog on a bed.", "a dog sleeps on a bed"], "test": "a dog on a bed"},
    ]
    karpathy = {
        "images": [
            {"cocoid": 2, "filename": "2.jpg", "split": "test", "sentences": [{"raw": "Two cats."}]},
            {
                "cocoid": 1,
                "filename": "1.jpg",
                "split": "test",
                "sentences": [{"raw": "A dog on a bed."}, {"raw": "a dog sleeps on a bed"}],
            },
            {"cocoid": 3, "filename": "3.jpg", "split": "train", "sentences": [{"raw": "x"}]},
        ]
    }
    assert score_caption_files(write("spice.json", spice), write("spice2.json", spice)) == coco
    assert score_caption_files(write("karpathy.json", karpathy), results) == coco
    with pytest.raises(DataError, match="no image of split 'val'; expected one of test, train"):
        score_caption_files(write("karpathy.json", karpathy), results, split="val")


def test_quoted_ids_are_the_same_ids(write: Write) -> None:
    quoted = [{**result, "image_id": str(result["image_id"])} for result in RESULTS]
    scores = score_caption_files(write("coco.json", COCO), write("results.jsonl", quoted))
    assert [sample["image_id"] for sample in scores.per_sample] == [2, 1]


def test_predicted_only(write: Write) -> None:
    scores = score_caption_files(
        write("coco.json", COCO), write("results.json", RESULTS[:1]), is_partial=True
    )
    assert scores.samples == 1
    assert scores.scores["CIDEr"] == 0  # one image: every idf is log 1


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([*RESULTS, RESULTS[0]], r"results.json: image 1 comes twice; expected each once: remove"),
        (
            RESULTS[:1],
            r"results.json: no prediction for image 2 of .*coco.json \(1 of 2 missing\).*--predicted-only",
        ),
        (
            [*RESULTS, {"image_id": 7, "caption": "x"}],
            r"results.json: image 7 is not in .*coco.json .* one split",
        ),
        (
            [{"image_id": 1, "caption": 5}],
            r"results.json: record 0 \(image_id 1\): caption: .*valid string.*expected a",
        ),
        ([{"caption": "x"}], r"results.json: record 0: image_id.*: Field required"),
        ([{"image_id": 1.5, "caption": "x"}], r"record 0 \(image_id 1.5\): image_id"),
        ([], r"results.json: an empty list where records are wanted; expected a list of"),
        ({"a": 1}, r"results.json: dict where records are wanted"),
    ],
)
def test_bad_predictions(write: Write, results: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        score_caption_files(write("coco.json", COCO), write("results.json", results))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"\xff\xfe\x00", "not a text file in UTF-8"),
        (b"\x1f\x8b\x08broken", "cannot be read|not a text file"),
        (b'{"image_id": 1, "caption": "a"}\n{"image_id": 2,\n', "line 2 is not JSON"),
    ],
)
def test_unreadable_predictions(write: Write, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"results.json: .*({message}).*expected"):
        score_caption_files(write("coco.json", COCO), path)


def test_missing_file_and_folder(write: Write, tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataError, match=r"cannot be read \(.*expected a list of"):
            score_caption_files(write("coco.json", COCO), path)


def test_the_document_is_json(write: Write) -> None:
    document = score_caption_files(write("coco.json", COCO), write("results.json", RESULTS)).document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
