"""Where calibration samples come from, and what is refused."""

import json
from pathlib import Path

import pytest
from PIL import Image

from bitloom.errors import DataError
from bitloom.plan import Calibration
from quantize.calibration.samples import check_disjoint, image_hash, load_samples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = []
    for index in range(6):
        Image.new("RGB", (20 + index, 10), (40 * index, 0, 0)).save(tmp_path / f"{index}.png")
        lines.append(json.dumps({"image": f"{index}.png", "prompt": "what?", "answer": f"red {index}"}))
    (tmp_path / "calibration.jsonl").write_text("\n".join(lines))
    return tmp_path


def of(folder: Path, **changes: object) -> Calibration:
    return Calibration.model_validate({"dataset": str(folder), **changes})


def test_scenes_are_captions_and_questions_in_turn_and_follow_the_seed() -> None:
    samples = load_samples(Calibration(), 8)
    assert [sample.kind for sample in samples] == ["caption", "question"] * 4
    assert len({sample.hash for sample in samples}) == 8
    assert [s.hash for s in load_samples(Calibration(), 4)] == [s.hash for s in samples[:4]]
    assert load_samples(Calibration(seed=1), 1)[0].name != samples[0].name


def test_a_folder_is_shuffled_by_the_seed(folder: Path) -> None:
    names = [sample.name for sample in load_samples(of(folder), 6)]
    assert sorted(names) == [f"{n}.png" for n in range(6)]
    assert names != [sample.name for sample in load_samples(of(folder, seed=3), 6)]


@pytest.mark.parametrize("split", ["test", "validation", "val"])
def test_evaluation_splits_are_refused(split: str) -> None:
    with pytest.raises(DataError, match="is for evaluation"):
        load_samples(Calibration(split=split), 1)


def test_a_sample_of_the_evaluation_is_refused_by_its_pixels(folder: Path) -> None:
    Image.open(folder / "2.png").save(folder / "copy.bmp")
    (folder / "test.jsonl").write_text(json.dumps({"image": "copy.bmp", "prompt": "q", "answer": "a"}))
    with pytest.raises(DataError, match=r"2\.png: its image is in the evaluation split"):
        load_samples(of(folder), 6)


def test_disjoint_samples_pass(folder: Path) -> None:
    other = image_hash(Image.new("RGB", (3, 3)))
    check_disjoint(load_samples(of(folder), 6), frozenset({other}))


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_an_image_that_does_not_load_is_named(folder: Path, content: bytes | None) -> None:
    path = folder / "4.png"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DataError, match=r"4\.png: does not load"):
        load_samples(of(folder), 6)


def test_too_few_samples_and_unknown_splits_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="has 6"):
        load_samples(of(folder), 7)
    with pytest.raises(DataError, match="no split 'nowhere'"):
        load_samples(Calibration(split="nowhere"), 1)
    with pytest.raises(DataError, match=r"cannot be read"):
        load_samples(of(folder, split="other"), 1)


def test_a_faulty_line_is_named(folder: Path) -> None:
    with (folder / "calibration.jsonl").open("a") as file:
        file.write('\n{"image": "a.png", "question": "?"}')
    with pytest.raises(DataError, match=r"calibration\.jsonl:7"):
        load_samples(of(folder), 1)
