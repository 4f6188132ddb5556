"""Image-text pairs to calibrate on: the zoo's scenes, or a folder of images with a list of texts.

A folder holds `{split}.jsonl`, one pair a line: {"image": "a.jpg", "prompt": "...", "answer": "..."},
images relative to it. Calibration must not see what evaluation asks about: see `check_disjoint`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from bitloom.errors import DataError, InputError
from bitloom.plan import Calibration
from bitloom.schema import Schema
from zoo.scenes import CAPTION_PROMPTS, SPLITS, scene, split_size

SCENES = "scenes"
EVALUATION_SPLITS = ("validation", "val", "test")


@dataclass(frozen=True, slots=True)
class ImageTextSample:
    """An RGB image, what is asked about it and what is answered. `name` says where it came from."""

    name: str
    image: Image.Image
    prompt: str
    answer: str
    kind: Literal["caption", "question"] = "question"

    @property
    def image_hash(self) -> str:
        """SHA-256 of size and pixels: equal for the same picture in another file."""
        return image_hash(self.image)

    @property
    def hash(self) -> str:
        """SHA-256 of picture, prompt and answer."""
        text = json.dumps([self.image_hash, self.prompt, self.answer, self.kind])
        return hashlib.sha256(text.encode()).hexdigest()


class _Line(Schema):
    file_error: ClassVar[type[InputError]] = DataError

    image: str
    prompt: str
    answer: str
    kind: Literal["caption", "question"] = "question"


def image_hash(image: Image.Image) -> str:
    """SHA-256 of an image's size and RGB pixels."""
    digest = hashlib.sha256(f"{image.width}x{image.height}".encode())
    digest.update(image.convert("RGB").tobytes())
    return digest.hexdigest()


def load_samples(calibration: Calibration, count: int) -> tuple[ImageTextSample, ...]:
    """`count` samples in the order that the calibration's seed shuffles them into.

    Raises DataError where there are fewer, one does not load, or the split is for evaluation.
    """
    if calibration.split in EVALUATION_SPLITS:
        raise DataError(
            f"calibration.split: {calibration.split} is for evaluation; calibrate on another split"
        )
    if calibration.dataset == SCENES:
        return _load_scenes(calibration, count)
    samples = _load_folder(Path(calibration.dataset), calibration, count)
    check_disjoint(samples, _evaluation_hashes(Path(calibration.dataset)))
    return samples


def check_disjoint(samples: Iterable[ImageTextSample], evaluation: frozenset[str]) -> None:
    """Raise DataError naming a sample whose image (by `image_hash`) is one of the evaluation's."""
    for sample in samples:
        if sample.image_hash in evaluation:
            raise DataError(
                f"{sample.name}: its image is in the evaluation split too; remove it from the calibration"
            )


def _load_scenes(calibration: Calibration, count: int) -> tuple[ImageTextSample, ...]:
    if calibration.split not in SPLITS:
        raise DataError(f"calibration.split: scenes have no split {calibration.split!r}; use calibration")
    available = split_size(calibration.split)
    _check_count(count, available, "scenes")
    order = np.random.default_rng(calibration.seed).permutation(available)[:count]
    return tuple(_scene_sample(calibration.split, int(index), turn) for turn, index in enumerate(order))


def _scene_sample(split: str, index: int, turn: int) -> ImageTextSample:
    """Captions and questions in turn, of all styles and kinds."""
    chosen = scene(split, index)
    if turn % 2 == 0:
        captions = chosen.captions()
        prompt = CAPTION_PROMPTS[turn // 2 % len(CAPTION_PROMPTS)]
        answer = captions[turn // 2 % len(captions)]
        return ImageTextSample(chosen.name, chosen.render(), prompt, answer, "caption")
    questions = chosen.questions()
    question = questions[turn // 2 % len(questions)]
    return ImageTextSample(chosen.name, chosen.render(), question.text, question.answer)


def _load_folder(folder: Path, calibration: Calibration, count: int) -> tuple[ImageTextSample, ...]:
    lines = _read_lines(folder / f"{calibration.split}.jsonl")
    _check_count(count, len(lines), str(folder))
    order = np.random.default_rng(calibration.seed).permutation(len(lines))[:count]
    samples = []
    for index in order:
        line = lines[int(index)]
        image = load_image(folder / line.image)
        samples.append(ImageTextSample(line.image, image, line.prompt, line.answer, line.kind))
    return tuple(samples)


def load_image(path: Path) -> Image.Image:
    """An image file as RGB; DataError naming it where it does not load."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as exc:
        raise DataError(f"{path}: does not load as an image ({exc}); repair or remove the sample") from exc


def _read_lines(path: Path) -> list[_Line]:
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
        documents = [json.loads(text) for text in texts if text.strip()]
    except (OSError, ValueError) as exc:
        raise DataError(f"{path}: cannot be read as JSON lines ({exc})") from exc
    return [_Line.parse(document, source=f"{path}:{n}") for n, document in enumerate(documents, start=1)]


def _evaluation_hashes(folder: Path) -> frozenset[str]:
    """Hashes of all images that the folder's evaluation splits name."""
    paths = [folder / f"{split}.jsonl" for split in EVALUATION_SPLITS]
    lines = [line for path in paths if path.is_file() for line in _read_lines(path)]
    return frozenset(image_hash(load_image(folder / name)) for name in {line.image for line in lines})


def _check_count(wanted: int, available: int, source: str) -> None:
    if wanted > available:
        raise DataError(
            f"calibration.samples: {wanted} samples with the held-out ones, but {source} has {available}"
        )
