"""Karpathy's split files of COCO and Flickr30k: images with their split and sentences.

COCO's name a folder (`filepath`) and COCO's image id; Flickr30k's have neither, so that the name of the
photograph without its ending is the id, as it is in published result files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitloom.errors import DataError
from eval_client.datasets.documents import ForeignModel, check_unique, parse_list
from eval_client.datasets.folder import ImageFolder
from eval_client.datasets.model import CaptionItem

DEFAULT_SPLIT = "test"
EXPECTED = (
    "Karpathy's format: {'images': [{'filename', 'split', 'sentences': [{'raw'}]}]}, which is "
    "dataset_coco.json or dataset_flickr30k.json of cs.stanford.edu/people/karpathy/deepimagesent"
)


class _Sentence(ForeignModel):
    raw: str


class _Image(ForeignModel):
    filename: str
    filepath: str = ""
    cocoid: str | None = None
    split: str
    sentences: list[_Sentence]

    @property
    def image_id(self) -> str:
        return self.cocoid or Path(self.filename).stem


def is_karpathy(document: Any) -> bool:
    """Whether a JSON document looks like one of Karpathy's files."""
    images = document.get("images") if isinstance(document, dict) else None
    first = images[0] if isinstance(images, list) and images else None
    return isinstance(first, dict) and {"filename", "split", "sentences"} <= set(first)


def parse_karpathy(
    path: Path, document: Any, folder: ImageFolder, split: str = DEFAULT_SPLIT
) -> list[CaptionItem]:
    """Images of a split with their captions, in file order.

    Raises DataError for another format, an unknown split, ids that come twice, an image without a sentence
    or without its file.
    """
    if not is_karpathy(document):
        raise DataError(f"{path}: no images with sentences in it; expected {EXPECTED}")
    images = parse_list(path, _Image, document["images"], EXPECTED)
    chosen = [image for image in images if image.split == split]
    if not chosen:
        splits = ", ".join(sorted({image.split for image in images}))
        raise DataError(f"{path}: no image of split {split!r}; it has {splits}: karpathy:FILE:IMAGES:SPLIT")
    check_unique(path, "image id", (image.image_id for image in chosen))
    return [_item(path, image, folder) for image in chosen]


def _item(path: Path, image: _Image, folder: ImageFolder) -> CaptionItem:
    captions = tuple(sentence.raw.strip() for sentence in image.sentences)
    if not captions:
        raise DataError(f"{path}: image {image.image_id} has no sentence; expected at least one")
    inside = f"{image.filepath}/{image.filename}" if image.filepath else image.filename
    has_folder = bool(image.filepath) and (folder.root / inside).is_file()
    return CaptionItem(folder.image(image.image_id, inside if has_folder else image.filename), captions)
