"""A data set, whatever its format: what is to be captioned, asked and matched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eval_client.images import ImageSource

Scorer = Literal["vqa", "gqa", "pope"]
"""How answers to a data set's questions are scored."""


@dataclass(frozen=True, slots=True)
class CaptionItem:
    """An image and its reference captions."""

    image: ImageSource
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuestionItem:
    """A question about an image. `answers` are people's (ten in VQA data sets), `kind` groups questions."""

    question_id: str
    image: ImageSource
    question: str
    answers: tuple[str, ...]
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """Caption number `number` of an image, to be retrieved."""

    image_id: str
    number: int
    text: str

    @property
    def caption_id(self) -> str:
        """`IMAGE#NUMBER`."""
        return f"{self.image_id}#{self.number}"


@dataclass(frozen=True, slots=True)
class Shard:
    """A closed world of retrieval: every image is matched with every caption, both ways."""

    images: tuple[ImageSource, ...]
    captions: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a run may use. A task whose tuple is empty cannot be run on this data set."""

    name: str
    kind: str
    captions: tuple[CaptionItem, ...] = ()
    questions: tuple[QuestionItem, ...] = ()
    shards: tuple[Shard, ...] = ()
    scorer: Scorer = "vqa"

    def images(self) -> dict[str, ImageSource]:
        """All images by their id."""
        sources: list[ImageSource] = [item.image for item in self.captions]
        sources += [item.image for item in self.questions]
        sources += [image for shard in self.shards for image in shard.images]
        return {source.image_id: source for source in sources}


@dataclass(frozen=True, slots=True)
class Limits:
    """At most how much of a data set a run uses: images to caption, questions, images to retrieve.

    A retrieval shard has `shard` images, each with up to `candidates` of its captions; each image is
    matched with the captions of all.
    """

    captions: int
    questions: int
    retrieval: int
    shard: int
    candidates: int = 1
