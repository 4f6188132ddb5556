"""The scenes of `zoo` as a data set: rendered when read, the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice

from bitloom.errors import DataError
from eval_client.datasets.model import Candidate, CaptionItem, Dataset, Limits, QuestionItem, Shard
from eval_client.images import EncodedImage, encode_png
from zoo.scenes import SPLITS, Scene, retrieval_scenes, scene, split_size

QUESTIONS_PER_SCENE = 5
CLUSTER = 8
"""A scene and seven others that differ from it in one attribute are candidates for one another."""


@dataclass(frozen=True, slots=True)
class SceneImage:
    """A scene that is drawn when it is read."""

    scene: Scene

    @property
    def image_id(self) -> str:
        """`split:index`, with `~n` for the distractors of a scene."""
        return self.scene.name

    def read(self) -> EncodedImage:
        """The scene as PNG."""
        return encode_png(self.scene.render())


def load_scenes(split: str, limits: Limits) -> Dataset:
    """Captions and questions of the first scenes of a split, and shards of near-duplicates.

    Raises DataError for an unknown split or one that is too small.
    """
    if split not in SPLITS:
        raise DataError(f"scenes:{split}: unknown split; choose one of {', '.join(SPLITS)}")
    size = split_size(split)
    if limits.captions > size:
        raise DataError(f"scenes:{split}: has {size} scenes, not {limits.captions}; ask for fewer samples")
    drawn = [scene(split, index) for index in range(limits.captions)]
    questions = chain.from_iterable(_questions(scene(split, index), index) for index in range(size))
    return Dataset(
        name=f"scenes:{split}",
        kind="scenes",
        captions=tuple(CaptionItem(SceneImage(each), each.captions()) for each in drawn),
        questions=tuple(islice(questions, limits.questions)),
        shards=_shards(split, limits),
    )


def _questions(drawn: Scene, number: int) -> list[QuestionItem]:
    """Some questions of a scene; which kinds come first rotates, so that all are equally frequent."""
    asked = drawn.questions()
    first = number * QUESTIONS_PER_SCENE
    chosen = [asked[(first + step) % len(asked)] for step in range(QUESTIONS_PER_SCENE)]
    unique = {question.text: question for question in chosen}.values()
    image = SceneImage(drawn)
    return [
        QuestionItem(f"{drawn.name}/{place}", image, question.text, question.answers, question.kind)
        for place, question in enumerate(unique)
    ]


def _shards(split: str, limits: Limits) -> tuple[Shard, ...]:
    cluster = min(CLUSTER, limits.shard)
    size = limits.shard - limits.shard % cluster
    count = -(-limits.retrieval // size) * size
    if not count:
        return ()
    chosen = retrieval_scenes(split, count, cluster)
    return tuple(_shard(chosen[start : start + size]) for start in range(0, count, size))


def _shard(scenes: tuple[Scene, ...]) -> Shard:
    return Shard(
        images=tuple(SceneImage(each) for each in scenes),
        captions=tuple(Candidate(each.name, 0, each.captions()[0]) for each in scenes),
    )
