"""Data sets in their formats, and what is said of files that are missing or wrong."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitloom.errors import DataError
from eval_client.datasets import Limits, dataset_hash, load_dataset

Write = Callable[[str, Any], Path]
ALL = Limits(captions=100, questions=100, retrieval=100, shard=2)


def test_coco_captions_with_their_images(write: Write, pictures: Path, captions: dict[str, Any]) -> None:
    data = load_dataset(f"coco:{write('c.json', captions)}:{pictures}", ALL)
    assert [item.image.image_id for item in data.captions] == ["3", "14", "159"]
    assert data.captions[2].references == ("caption of 159", "caption of 159")
    assert [len(shard.images) for shard in data.shards] == [2]
    assert [each.caption_id for each in data.shards[0].captions] == ["3#0", "14#0"]


def test_merged_questions(write: Write, pictures: Path, questions: list[dict[str, Any]]) -> None:
    data = load_dataset(f"vqa:{write('q.json', questions)}:{pictures}", ALL)
    assert [item.question_id for item in data.questions] == ["31", "32", "141"]
    assert data.questions[0].answers == ("yes",) * 10
    assert data.questions[0].image.image_id == data.questions[1].image.image_id == "3"


def test_questions_and_annotations_apart(
    write: Write, pictures: Path, questions: list[dict[str, Any]]
) -> None:
    asked = write("q.json", {"questions": questions})
    answered = write("a.json", {"annotations": [{**each, "answer_type": "yes/no"} for each in questions]})
    data = load_dataset(f"vqa:{asked}:{answered}:{pictures}", ALL)
    assert [item.kind for item in data.questions] == ["yes/no"] * 3


def test_a_directory_holds_what_it_holds(
    write: Write, pictures: Path, captions: dict[str, Any], questions: list[dict[str, Any]]
) -> None:
    write("captions.json", captions)
    write("vqa.json", questions)
    write("boxes.json", {"images": [], "annotations": [{"bbox": [0, 0, 1, 1]}]})
    data = load_dataset(str(pictures), ALL)
    assert (len(data.captions), len(data.questions)) == (3, 3)
    assert set(data.images()) == {"3", "14", "159"}


def test_a_smaller_limit_picks_a_part_of_what_a_larger_one_picks(
    write: Write, pictures: Path, captions: dict[str, Any]
) -> None:
    spec = f"coco:{write('c.json', captions)}:{pictures}"
    chosen = [
        [item.image.image_id for item in load_dataset(spec, Limits(count, 0, 0, 2)).captions]
        for count in (1, 2, 3)
    ]
    assert set(chosen[0]) < set(chosen[1]) < set(chosen[2])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "twice",
            lambda document: document["images"].append(document["images"][0]),
            "image id 3 comes twice",
        ),
        ("stranger", lambda document: document["images"].pop(), "captions of image 159, which"),
        ("no caption", lambda document: document["annotations"][0].pop("caption"), "no captions in it"),
        (
            "later one",
            lambda document: document["annotations"][1].pop("caption"),
            r"1\.caption: Field required",
        ),
        ("no file", lambda document: document["images"][0].update(file_name="x.png"), r"expected x\.png"),
    ],
)
def test_wrong_captions_are_named(
    write: Write,
    pictures: Path,
    captions: dict[str, Any],
    name: str,
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    change(captions)
    if name == "no file":
        captions["images"][0]["id"] = 4
        captions["annotations"][0]["image_id"] = 4
    with pytest.raises(DataError, match=message):
        load_dataset(f"coco:{write('c.json', captions)}:{pictures}", ALL)


def test_questions_without_answers_are_named(
    write: Write, pictures: Path, questions: list[dict[str, Any]]
) -> None:
    asked = write("q.json", {"questions": questions})
    answered = write("a.json", {"annotations": questions[:2]})
    with pytest.raises(DataError, match=r"a\.json: no answers to question 141"):
        load_dataset(f"vqa:{asked}:{answered}:{pictures}", ALL)


def test_questions_about_an_image_that_is_not_there_are_named(
    write: Write, pictures: Path, questions: list[dict[str, Any]]
) -> None:
    questions[0]["image_id"] = 77
    with pytest.raises(DataError, match="no image 77: expected a file named 77, or ending in that number"):
        load_dataset(f"vqa:{write('q.json', questions)}:{pictures}", ALL)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("coco:nowhere.json:.", r"nowhere\.json: cannot be read .*expected the COCO captions format"),
        ("coco:only.json", "1 paths, expected 2"),
        ("cocoa", "neither a directory nor a known form"),
        ("scenes:tests", "unknown split; choose one of train"),
    ],
)
def test_wrong_specifications_are_named(spec: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(spec, ALL)


def test_a_directory_without_annotations_is_named(pictures: Path) -> None:
    with pytest.raises(DataError, match="no captions or questions in its 0 JSON files; expected the COCO"):
        load_dataset(str(pictures), ALL)


def test_a_directory_with_two_caption_files_is_ambiguous(
    write: Write, pictures: Path, captions: dict[str, Any]
) -> None:
    write("a.json", captions)
    write("b.json", captions)
    with pytest.raises(DataError, match=r"a\.json and b\.json both hold captions"):
        load_dataset(str(pictures), ALL)


def test_json_that_is_torn_is_named(pictures: Path) -> None:
    (pictures / "c.json").write_text('{"images": [')
    with pytest.raises(DataError, match=r"c\.json: not valid JSON"):
        load_dataset(f"coco:{pictures / 'c.json'}:{pictures}", ALL)


def test_the_hash_is_of_texts_and_pixels(write: Write, pictures: Path, captions: dict[str, Any]) -> None:
    spec = f"coco:{write('c.json', captions)}:{pictures}"
    first = dataset_hash(load_dataset(spec, ALL))
    assert dataset_hash(load_dataset(spec, ALL)) == first
    picture = pictures / "COCO_val2014_000000000014.png"
    picture.write_bytes((pictures / "COCO_val2014_000000000159.png").read_bytes())
    second = dataset_hash(load_dataset(spec, ALL))
    captions["annotations"][0]["caption"] = "another"
    write("c.json", captions)
    assert len({first, second, dataset_hash(load_dataset(spec, ALL))}) == 3


def test_the_real_photographs_load() -> None:
    root = Path(os.environ.get("BITLOOM_SHARED", "../shared")) / "conformance/photos/coco_mini_cc"
    if not root.is_dir():
        pytest.skip(f"{root} is not there; set BITLOOM_SHARED to the folder that holds conformance/")
    data = load_dataset(str(root), Limits(200, 1000, 48, 16))
    assert (len(data.captions), len(data.questions), len(data.shards)) == (51, 8, 3)
    assert all(len(item.references) == 5 for item in data.captions)
