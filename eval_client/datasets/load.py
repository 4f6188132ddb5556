"""`--data`: from a specification to a data set.

scenes:SPLIT                         drawn scenes
coco:CAPTIONS:IMAGES                 COCO captions format and its image folder
karpathy:FILE:IMAGES[:SPLIT]         Karpathy's file of COCO or Flickr30k; split `test` where none is named
vqa:QUESTIONS:ANNOTATIONS:IMAGES     VQA format; vqa:MERGED:IMAGES where they are one list
gqa:QUESTIONS:IMAGES                 GQA's balanced questions
textvqa:FILE:IMAGES                  TextVQA
vizwiz:FILE:IMAGES                   VizWiz
pope:FILE:IMAGES                     POPE
DIRECTORY                            whatever COCO captions and VQA files the directory holds, images
                                     beside the files or in `images/`
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitloom.errors import DataError
from eval_client.datasets import coco, gqa, karpathy, pope, textvqa, vqa
from eval_client.datasets.directory import load_directory
from eval_client.datasets.documents import pick, read_json
from eval_client.datasets.folder import ImageFolder
from eval_client.datasets.model import CaptionItem, Dataset, Limits, QuestionItem, Scorer
from eval_client.datasets.scenes import load_scenes

FORMS = (
    "scenes:SPLIT, coco:CAPTIONS:IMAGES, karpathy:FILE:IMAGES[:SPLIT], vqa:QUESTIONS:ANNOTATIONS:IMAGES, "
    "gqa|textvqa|vizwiz|pope:FILE:IMAGES or a directory"
)
_Parse = Callable[[Path, Any, ImageFolder], list[QuestionItem]]
_QUESTIONS: dict[str, tuple[_Parse, str, Scorer]] = {
    "gqa": (gqa.parse_gqa, gqa.EXPECTED, "gqa"),
    "textvqa": (textvqa.parse_textvqa, textvqa.EXPECTED_TEXTVQA, "vqa"),
    "vizwiz": (textvqa.parse_vizwiz, textvqa.EXPECTED_VIZWIZ, "vqa"),
    "pope": (pope.parse_pope, pope.EXPECTED, "pope"),
}


def load_dataset(spec: str, limits: Limits) -> Dataset:
    """The data set of a specification, cut to the limits. Images are read later, each when it is needed.

    Raises DataError naming the file that is missing or wrong and what was expected.
    """
    kind, _, rest = spec.partition(":")
    if kind == "scenes":
        return load_scenes(rest or "test", limits)
    if kind == "coco":
        captions, images = _paths(spec, rest, 2)
        items = coco.parse_captions(captions, read_json(captions, coco.EXPECTED), ImageFolder(images))
        return cut(spec, "coco", items, [], limits)
    if kind == "karpathy":
        return _load_karpathy(spec, rest, limits)
    if kind == "vqa":
        return cut(spec, "vqa", [], _load_vqa(spec, rest), limits)
    if kind in _QUESTIONS:
        parse, expected, scorer = _QUESTIONS[kind]
        path, images = _paths(spec, rest, 2)
        questions = parse(path, read_json(path, expected), ImageFolder(images))
        return cut(spec, kind, [], questions, limits, scorer)
    if Path(spec).is_dir():
        root = Path(spec)
        found = load_directory(root, FORMS)
        return cut(str(root), "folder", found.captions, found.questions, limits)
    raise DataError(f"data {spec!r}: neither a directory nor a known form; expected {FORMS}")


def _paths(spec: str, rest: str, count: int) -> list[Path]:
    parts = rest.split(":")
    if len(parts) != count or not all(parts):
        raise DataError(f"data {spec!r}: {len(parts)} paths, expected {count}; the forms are {FORMS}")
    return [Path(part) for part in parts]


def _load_karpathy(spec: str, rest: str, limits: Limits) -> Dataset:
    paths, split = rest, karpathy.DEFAULT_SPLIT
    if rest.count(":") == 2:
        paths, _, split = rest.rpartition(":")
    path, images = _paths(spec, paths, 2)
    document = read_json(path, karpathy.EXPECTED)
    items = karpathy.parse_karpathy(path, document, ImageFolder(images), split)
    return cut(spec, str(document.get("dataset", "karpathy")), items, [], limits)


def _load_vqa(spec: str, rest: str) -> list[QuestionItem]:
    if rest.count(":") == 1:
        merged, images = _paths(spec, rest, 2)
        return vqa.parse_merged(merged, read_json(merged, vqa.EXPECTED_MERGED), ImageFolder(images))
    questions, annotations, images = _paths(spec, rest, 3)
    return vqa.parse_pair(
        questions,
        read_json(questions, vqa.EXPECTED_QUESTIONS),
        annotations,
        read_json(annotations, vqa.EXPECTED_ANNOTATIONS),
        ImageFolder(images),
    )


def cut(
    name: str,
    kind: str,
    captions: list[CaptionItem],
    questions: list[QuestionItem],
    limits: Limits,
    scorer: Scorer = "vqa",
) -> Dataset:
    """As much of captions and questions as the limits say."""
    return Dataset(
        name=name,
        kind=kind,
        captions=pick(captions, limits.captions, lambda item: item.image.image_id),
        questions=pick(questions, limits.questions, lambda item: item.question_id),
        shards=coco.caption_shards(
            pick(captions, limits.retrieval, lambda item: item.image.image_id),
            limits.shard,
            limits.candidates,
        ),
        scorer=scorer,
    )
