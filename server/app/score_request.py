"""Requests that score pairs of texts and images, in vLLM's form, as far as the gateway reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from server.app.chat_request import ImagePart, ImageUrl, Parts, TextPart, check_measures
from server.app.text_request import TextRequest, parse_text
from server.config import Limits
from server.errors import BadRequest
from server.media.canonical import ImageRef

# vLLM's other names for the two sides: through them images would come past the checks.
OTHER_NAMES = ("data_1", "data_2", "queries", "documents", "items")


class ScoreContent(BaseModel):
    """One side of a pair that is not plain text: parts of a message."""

    model_config = ConfigDict(extra="ignore")

    content: Parts


ScoreItem = str | ScoreContent
ScoreItems = ScoreItem | Annotated[list[ScoreItem], Field(fail_fast=True, min_length=1)]


class ScoreRequest(TextRequest):
    """POST /v1/score: one against one, one against many, or as many against as many."""

    text_1: ScoreItems
    text_2: ScoreItems

    def measures(self, limits: Limits) -> list[tuple[str, str, int, int]]:
        """Pairs are counted as prompts are: the engine runs them all."""
        pairs = max(len(_listed(self.text_1)), len(_listed(self.text_2)))
        return [("text_2", "pairs", pairs, limits.prompts)]

    def images(self) -> list[ImageRef]:
        """Images in the order in which they stand."""
        return [ImageRef(part.image_url.url, param) for param, part in self._image_parts()]

    def with_images(self, image_urls: Sequence[str]) -> ScoreRequest:
        """This request with other URLs for its images."""
        parts = [part for _, part in self._image_parts()]
        for part, url in zip(parts, image_urls, strict=True):
            part.image_url = ImageUrl(url=url)
        return self

    def text_length(self) -> int:
        """Characters of all texts."""
        items = [*_listed(self.text_1), *_listed(self.text_2)]
        texts = [item for item in items if isinstance(item, str)]
        parts = [part for item in items if isinstance(item, ScoreContent) for part in item.content]
        return sum(map(len, texts)) + sum(len(part.text) for part in parts if isinstance(part, TextPart))

    def _image_parts(self) -> Iterator[tuple[str, ImagePart]]:
        for name in ("text_1", "text_2"):
            side = getattr(self, name)
            for i, item in enumerate(_listed(side)):
                place = f"{name}[{i}]" if isinstance(side, list) else name
                for j, part in enumerate(item.content if isinstance(item, ScoreContent) else ()):
                    if isinstance(part, ImagePart):
                        yield f"{place}.content[{j}].image_url", part


def parse_score(body: bytes, limits: Limits, max_images: int) -> ScoreRequest:
    """Validated request; raises BadRequest that names the field, never quoting its value."""
    request = parse_text(ScoreRequest, body, limits)
    for name in OTHER_NAMES:
        if (request.model_extra or {}).get(name) is not None:
            raise BadRequest(
                f"{name} is not accepted; give the two sides as text_1 and text_2",
                code="refused_field",
                param=name,
            )
    check_measures([("text_2", "images", len(request.images()), max_images)])
    return request


def _listed(side: ScoreItems) -> list[ScoreItem]:
    return side if isinstance(side, list) else [side]
