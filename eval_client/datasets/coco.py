"""Files in the COCO captions format: `images` (id, file_name) and `annotations` (image_id, caption)."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

from bitloom.errors import DataError
from eval_client.datasets.documents import ForeignModel, check_unique, parse_list
from eval_client.datasets.folder import ImageFolder
from eval_client.datasets.model import Candidate, CaptionItem, Shard

EXPECTED = (
    "the COCO captions format: {'images': [{'id', 'file_name'}], 'annotations': [{'image_id', 'caption'}]}, "
    "which is captions_val2014.json or captions_val2017.json of cocodataset.org"
)
_log = logging.getLogger(__name__)


class _Image(ForeignModel):
    id: str
    file_name: str


class _Annotation(ForeignModel):
    image_id: str
    caption: str


def is_captions(document: Any) -> bool:
    """Whether a JSON document looks like COCO captions (instances and key points have no captions)."""
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        return False
    annotations = document.get("annotations")
    return isinstance(annotations, list) and bool(annotations) and "caption" in annotations[0]


def parse_captions(path: Path, document: Any, folder: ImageFolder) -> list[CaptionItem]:
    """Images with their captions, in file order; images without a caption are left out, and said.

    Raises DataError for another format, ids that come twice, captions of unknown images, missing files.
    """
    if not is_captions(document):
        raise DataError(f"{path}: no captions in it; expected {EXPECTED}")
    images = parse_list(path, _Image, document["images"], EXPECTED)
    check_unique(path, "image id", (image.id for image in images))
    captions: dict[str, list[str]] = defaultdict(list)
    for annotation in parse_list(path, _Annotation, document["annotations"], EXPECTED):
        captions[annotation.image_id].append(annotation.caption.strip())
    if strangers := captions.keys() - {image.id for image in images}:
        raise DataError(
            f"{path}: captions of image {min(strangers)}, which `images` does not list "
            f"({len(strangers)} such); take annotations and images from one file"
        )
    described = [image for image in images if image.id in captions]
    if len(described) < len(images):
        _log.warning("%s: %d images have no caption and are left out", path, len(images) - len(described))
    return [
        CaptionItem(folder.image(image.id, image.file_name), tuple(captions[image.id])) for image in described
    ]


def caption_shards(items: tuple[CaptionItem, ...], size: int, candidates: int = 1) -> tuple[Shard, ...]:
    """Shards of `size` images with up to `candidates` captions each; what fills no shard is left out.

    Recall depends on the number of candidates, so all shards are equally large; fewer than `size` images
    make one smaller shard.
    """
    size = min(size, len(items))
    if size < 2:
        return ()
    starts = range(0, len(items) - size + 1, size)
    return tuple(_shard(items[start : start + size], candidates) for start in starts)


def _shard(items: tuple[CaptionItem, ...], candidates: int) -> Shard:
    return Shard(
        images=tuple(item.image for item in items),
        captions=tuple(
            Candidate(item.image.image_id, number, text)
            for item in items
            for number, text in enumerate(item.references[:candidates])
        ),
    )
