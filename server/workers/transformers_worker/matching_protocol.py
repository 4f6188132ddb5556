"""Requests to a model that matches instead of answering, in vLLM's forms: scores of pairs, and embeddings.

A pair is a text and an image, on either side. Either side may be one against many, or both as many.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.errors import BadRequest
from server.workers.transformers_worker.protocol import ImagePart, Message, TextPart

MANY = 4096
Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]
Parsed = TypeVar("Parsed", bound=BaseModel)
Single = TextPart | ImagePart


class Content(BaseModel):
    """An image or a text as a part of a message."""

    content: Annotated[list[Part], Field(min_length=1, max_length=1)]


Item = str | Content
Side = Item | Annotated[list[Item], Field(min_length=1, max_length=MANY)]


class ScoreRequest(BaseModel):
    """POST /v1/score."""

    model: str
    text_1: Side
    text_2: Side

    def pairs(self) -> list[tuple[str, str]]:
        """Text and image URL of each pair; BadRequest where the sides do not go together."""
        one, other = _parts(self.text_1), _parts(self.text_2)
        if len(one) != len(other) and 1 not in (len(one), len(other)):
            raise BadRequest(
                f"text_2: {len(other)} against {len(one)} of text_1; send one, or as many",
                code="invalid_field",
                param="text_2",
            )
        count = max(len(one), len(other))
        ones, others = one * (count // len(one)), other * (count // len(other))
        return [_pair(left, right) for left, right in zip(ones, others, strict=True)]


class EmbeddingRequest(BaseModel):
    """POST /v1/embeddings: `input` texts as OpenAI has them, or one message with one image or text."""

    model_config = ConfigDict(extra="allow")

    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=MANY)] | None = None
    messages: Annotated[list[Message], Field(min_length=1, max_length=1)] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: None = None

    def items(self) -> list[Single]:
        """What to embed; BadRequest where there is nothing, or two things at once."""
        if (self.input is None) == (self.messages is None):
            raise BadRequest(
                "input: give either `input`, or `messages` with one image or text",
                code="invalid_field",
                param="input",
            )
        if self.messages is None:
            texts = [self.input] if isinstance(self.input, str) else self.input or []
            return [TextPart(type="text", text=text) for text in texts]
        content = self.messages[0].content
        parts: list[Single] = (
            [TextPart(type="text", text=content)] if isinstance(content, str) else [*(content or [])]
        )
        if len(parts) != 1:
            raise BadRequest(
                f"messages: {len(parts)} parts; send one image or one text: this model embeds each alone",
                code="invalid_field",
                param="messages",
            )
        if isinstance(parts[0], ImagePart) and self.encoding_format == "base64":
            raise BadRequest(
                "encoding_format: an image has several vectors, whose number base64 does not tell; "
                'send "float"',
                code="invalid_field",
                param="encoding_format",
            )
        return parts


def parse_matching(kind: type[Parsed], body: bytes) -> Parsed:
    """Validated request; BadRequest names the field that is wrong."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as exc:
        # Of a union's branches the one that got deepest is the one the client meant.
        faults = exc.errors(include_input=False, include_url=False)
        fault: Any = max(faults, key=lambda each: len(each["loc"]))
        place = str(fault["loc"][0]) if fault["loc"] else "body"
        raise BadRequest(f"{place}: {fault['msg']}", code="invalid_field", param=place) from exc


def _parts(side: Side) -> list[Single]:
    items = side if isinstance(side, list) else [side]
    return [TextPart(type="text", text=item) if isinstance(item, str) else item.content[0] for item in items]


def _pair(left: Single, right: Single) -> tuple[str, str]:
    if isinstance(left, TextPart) and isinstance(right, ImagePart):
        return left.text, right.image_url.url
    if isinstance(left, ImagePart) and isinstance(right, TextPart):
        return right.text, left.image_url.url
    raise BadRequest(
        "text_2: this model scores an image and a text; send a text on one side, an image on the other",
        code="invalid_field",
        param="text_2",
    )
