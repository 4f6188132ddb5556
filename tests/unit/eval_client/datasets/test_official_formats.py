"""Karpathy's files, GQA, TextVQA, VizWiz, POPE, and the hashes that pin them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitloom.errors import DataError
from bitloom.results import SampleRecord
from eval_client.datasets import Limits, load_dataset
from eval_client.prompts import PRESETS
from eval_client.tasks.samples import question_samples
from eval_client.tasks.score_vqa import score_questions

Write = Callable[[str, Any], Path]
ALL = Limits(captions=100, questions=100, retrieval=100, shard=2, candidates=5)
IMAGE = "COCO_val2014_{:012d}.png"


def karpathy(split: str = "test") -> dict[str, Any]:
    images = [
        {
            "filename": IMAGE.format(number),
            "filepath": "val2014",
            "cocoid": number,
            "split": split if number < 100 else "val",
            "sentences": [{"raw": f"Caption {each} of {number} . "} for each in range(5)],
        }
        for number in (3, 14, 159)
    ]
    return {"images": images, "dataset": "coco"}


def test_karpathy_takes_one_split_and_all_sentences(write: Write, pictures: Path) -> None:
    data = load_dataset(f"karpathy:{write('dataset_coco.json', karpathy())}:{pictures}", ALL)
    assert data.kind == "coco"
    assert [item.image.image_id for item in data.captions] == ["3", "14"]
    assert len(data.captions[0].references) == 5
    assert len(data.shards[0].captions) == 10


def test_another_split_can_be_named(write: Write, pictures: Path) -> None:
    path = write("dataset_coco.json", karpathy())
    assert [
        item.image.image_id for item in load_dataset(f"karpathy:{path}:{pictures}:val", ALL).captions
    ] == ["159"]
    with pytest.raises(DataError, match=r"no image of split 'train'; it has test, val"):
        load_dataset(f"karpathy:{path}:{pictures}:train", ALL)


def test_flickr30k_images_are_named_by_their_photographs(write: Write, pictures: Path) -> None:
    document = karpathy()
    for image in document["images"]:
        del image["cocoid"], image["filepath"]
    document["dataset"] = "flickr30k"
    data = load_dataset(f"karpathy:{write('dataset_flickr30k.json', document)}:{pictures}", ALL)
    assert (data.kind, data.captions[0].image.image_id) == ("flickr30k", "COCO_val2014_000000000003")


def gqa() -> dict[str, Any]:
    def question(image: int, answer: str, *, is_balanced: bool = True) -> dict[str, Any]:
        types = {"structural": "query"}
        text = {"imageId": str(image), "question": "What is it?", "answer": answer}
        return {**text, "isBalanced": is_balanced, "types": types}

    return {"q1": question(3, "cat"), "q2": question(14, "dog"), "q3": question(14, "x", is_balanced=False)}


def test_gqa_asks_balanced_questions_only(write: Write, pictures: Path) -> None:
    data = load_dataset(f"gqa:{write('questions.json', gqa())}:{pictures}", ALL)
    assert [(item.question_id, item.answers, item.kind) for item in data.questions] == [
        ("q1", ("cat",), "query"),
        ("q2", ("dog",), "query"),
    ]
    assert data.scorer == "gqa"


def pope_lines() -> str:
    lines = [
        {"question_id": number, "image": IMAGE.format(3), "text": "Is there a cat?", "label": label}
        for number, label in ((1, "yes"), (2, "no"), (3, "yes"), (4, "no"))
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_pope_is_lines(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "coco_pope_random.json"
    path.write_text(pope_lines())
    data = load_dataset(f"pope:{path}:{pictures}", ALL)
    assert [(item.question_id, item.answers) for item in data.questions][:2] == [
        ("1", ("yes",)),
        ("2", ("no",)),
    ]
    assert data.scorer == "pope"


def test_textvqa_and_vizwiz_keep_ten_answers(write: Write, pictures: Path) -> None:
    text = {"question_id": 7, "image_id": "3", "question": "what?", "answers": ["a"] * 9 + ["b"]}
    data = load_dataset(f"textvqa:{write('text.json', {'data': [text]})}:{pictures}", ALL)
    assert data.questions[0].answers == ("a",) * 9 + ("b",)
    answers = [{"answer": "unanswerable", "answer_confidence": "yes"}] * 10
    seen = {"image": IMAGE.format(14), "question": "what?", "answers": answers, "answer_type": "other"}
    data = load_dataset(f"vizwiz:{write('val.json', [seen])}:{pictures}", ALL)
    assert data.questions[0].question_id == "COCO_val2014_000000000014"
    assert data.questions[0].kind == "other"


@pytest.mark.parametrize(
    ("kind", "document", "source"),
    [
        ("karpathy", {"images": []}, "dataset_flickr30k.json of cs.stanford.edu"),
        ("gqa", [], "testdev_balanced_questions.json of cs.stanford.edu"),
        ("textvqa", {"data": []}, "TextVQA_0.5.1_val.json of textvqa.org"),
        ("vizwiz", [{"image": "x"}], "val.json of vizwiz.org"),
        ("pope", [{"question_id": 1}], "github.com/AoiDragon/POPE"),
    ],
)
def test_a_wrong_file_is_told_where_the_right_one_is(
    write: Write, pictures: Path, kind: str, document: Any, source: str
) -> None:
    with pytest.raises(DataError, match=re.escape(source)):
        load_dataset(f"{kind}:{write('wrong.json', document)}:{pictures}", ALL)


def test_an_id_that_comes_twice_is_named(write: Write, pictures: Path) -> None:
    document = karpathy()
    document["images"].append(document["images"][0])
    with pytest.raises(DataError, match=r"image id 3 comes twice"):
        load_dataset(f"karpathy:{write('d.json', document)}:{pictures}", ALL)


def pin(folder: Path, *names: str) -> None:
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def test_pinned_files_must_be_what_was_pinned(write: Write, pictures: Path) -> None:
    path = write("questions.json", gqa())
    pin(pictures, "questions.json", IMAGE.format(3), IMAGE.format(14))
    data = load_dataset(f"gqa:{path}:{pictures}", ALL)
    assert data.questions[0].image.read().media_type == "image/png"
    (pictures / IMAGE.format(14)).write_bytes((pictures / IMAGE.format(3)).read_bytes())
    with pytest.raises(DataError, match=r"000014.png: SHA-256 is .*, SHA256SUMS beside it says"):
        data.questions[1].image.read()
    path.write_text(json.dumps({**gqa(), "q4": gqa()["q1"]}))
    with pytest.raises(DataError, match=r"questions.json: SHA-256 is"):
        load_dataset(f"gqa:{path}:{pictures}", ALL)


def test_a_file_that_is_not_pinned_is_not_used(write: Write, pictures: Path) -> None:
    path = write("questions.json", gqa())
    pin(pictures, IMAGE.format(3))
    with pytest.raises(DataError, match=r"questions.json: not in SHA256SUMS"):
        load_dataset(f"gqa:{path}:{pictures}", ALL)


def records(spec: str, answers: list[str]) -> list[SampleRecord]:
    return [
        SampleRecord(
            sample_id=sample.sample_id,
            task="vqa",
            image_id=sample.image.image_id,
            kind=sample.kind,
            references=sample.references,
            scorer=sample.scorer,
            request_hash="0" * 64,
            image_sha256="0" * 64,
            prompt=sample.prompt,
            state="answered",
            answer=answer,
            error=None,
            finish_reason="stop",
            usage=None,
            sent_at_s=0.0,
            chunk_times_s=(),
            end_s=0.0,
            retries=0,
        )
        for sample, answer in zip(
            question_samples(load_dataset(spec, ALL), PRESETS["llava"]), answers, strict=True
        )
    ]


def test_gqa_is_scored_by_exact_match(write: Write, pictures: Path) -> None:
    spec = f"gqa:{write('questions.json', gqa())}:{pictures}"
    scores = score_questions(records(spec, ["Cat.", "a dog"]), "official", 0)
    assert [(score.name, score.value) for score in scores.scores] == [("gqa_accuracy", 0.5)]


def test_pope_has_its_own_figures(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "pope.jsonl"
    path.write_text(pope_lines())
    answers = ["Yes, there is.", "Yes", "No", "No, it is not."]
    scores = score_questions(records(f"pope:{path}:{pictures}", answers), "official", 0)
    assert {score.name: score.value for score in scores.scores} == {
        "pope_accuracy": 0.5,
        "pope_precision": 0.5,
        "pope_recall": 0.5,
        "pope_f1": 0.5,
        "pope_yes_ratio": 0.5,
    }
