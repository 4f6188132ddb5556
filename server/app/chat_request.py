"""A chat request, validated as far as the gateway must understand it; the rest goes to the engine.

Fields that let a client reach past the gateway are refused by name. Content parts are rebuilt from
the keys that OpenAI documents: engines read further ones (`uuid`, `image_embeds`, a URL in a part
without a type) that would bring media past the checks, or another client's media out of a cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from server.config import Limits
from server.errors import BadRequest
from server.media.canonical import ImageRef

REFUSED_FIELDS = {
    "chat_template": "the variant's own chat template is used",
    "mm_processor_kwargs": "images are processed as the variant's configuration says",
    "media_io_kwargs": "the gateway alone reads media",
    "kv_transfer_params": "caches are not transferred",
    "ec_transfer_params": "caches are not transferred",
    "prompt_embeds": "prompts are text or tokens",
    "request_id": "the gateway names requests; its name is in the x-request-id header",
}


class TextPart(BaseModel):
    """A piece of text."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text"]
    text: str


class RefusalPart(BaseModel):
    """An earlier refusal of the assistant."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["refusal"]
    refusal: str


class ImageUrl(BaseModel):
    """Where the image is; `detail` is OpenAI's hint, which engines may ignore."""

    model_config = ConfigDict(extra="ignore")

    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(BaseModel):
    """An image."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | RefusalPart | ImagePart, Field(discriminator="type")]
PART_TYPES = ("text", "refusal", "image_url")
# What pydantic calls the branches of unions, here and in `score_request`.
UNION_BRANCHES = ("str", "ScoreContent")
# Fail fast and bounded: pydantic would otherwise collect a fault for each of 10^6 wrong elements.
Parts = Annotated[list[Part], Field(fail_fast=True, max_length=4096)]


class Message(BaseModel):
    """One turn; its content is text or a list of parts."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | Parts | None = None


class StreamOptions(BaseModel):
    """Options of a streamed answer."""

    model_config = ConfigDict(extra="allow")

    include_usage: StrictBool | None = None


class ChatRequest(BaseModel):
    """POST /v1/chat/completions; fields that are not named here pass through unchanged."""

    model_config = ConfigDict(extra="allow", ser_json_inf_nan="constants")

    model: str
    messages: Annotated[list[Message], Field(fail_fast=True, min_length=1)]
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: str | Annotated[list[str], Field(fail_fast=True)] | None = None
    user: str | None = None

    def images(self) -> list[ImageRef]:
        """Images in the order in which they stand."""
        return [ImageRef(part.image_url.url, param) for param, part in self._image_parts()]

    def body(self, model: str, image_urls: Sequence[str]) -> bytes:
        """JSON for the worker: `model` and the images replaced, all else as it came."""
        parts = [part for _, part in self._image_parts()]
        for part, url in zip(parts, image_urls, strict=True):
            part.image_url = ImageUrl(url=url)
        return json_of(self, model)

    def unstreamed(self) -> ChatRequest:
        """The same request for a whole answer."""
        fields = self.model_copy()
        for name in ("stream", "stream_options"):
            setattr(fields, name, None)
            fields.model_fields_set.discard(name)
        return fields

    def text_length(self) -> int:
        """Characters of all messages' text."""
        length = 0
        for message in self.messages:
            parts = message.content or ""
            if isinstance(parts, str):
                length += len(parts)
            else:
                length += sum(len(part.text) for part in parts if isinstance(part, TextPart))
        return length

    def _image_parts(self) -> Iterator[tuple[str, ImagePart]]:
        for i, message in enumerate(self.messages):
            if not isinstance(message.content, list):
                continue
            for j, part in enumerate(message.content):
                if isinstance(part, ImagePart):
                    yield f"messages[{i}].content[{j}].image_url", part


def json_of(request: BaseModel, model: str) -> bytes:
    """JSON of a request for the worker that serves `model`; fields that were not given stay away."""
    request.__dict__["model"] = model
    return request.__pydantic_serializer__.to_json(request, exclude_unset=True)


def parse_chat(body: bytes, limits: Limits, max_images: int) -> ChatRequest:
    """Validated request; raises BadRequest that names the field, never quoting its value."""
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as exc:
        raise bad_field(exc) from exc
    check_refused(request)
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    check_measures(
        [
            ("n", "value", request.n or 1, limits.n),
            ("max_tokens", "value", request.max_tokens or 1, limits.max_tokens),
            ("max_completion_tokens", "value", request.max_completion_tokens or 1, limits.max_tokens),
            ("messages", "messages", len(request.messages), limits.messages),
            ("stop", "strings", len(stops), limits.stop_strings),
            ("stop", "characters in one string", max(map(len, stops), default=0), limits.stop_characters),
            ("messages", "images", len(request.images()), max_images),
        ]
    )
    return request


def check_refused(request: BaseModel) -> None:
    """Raise BadRequest for a field that is refused by name; null asks for nothing."""
    for name, reason in REFUSED_FIELDS.items():
        if (request.model_extra or {}).get(name) is not None:
            raise BadRequest(
                f"{name} is not accepted: {reason}; leave it out", code="refused_field", param=name
            )


def check_measures(measures: Sequence[tuple[str, str, int, int]]) -> None:
    """Raise BadRequest for the first field that is over its limit (field, thing, given, allowed)."""
    for param, thing, given, allowed in measures:
        if given > allowed:
            raise BadRequest(
                f"{param}: {given} ({thing}) is over the limit of {allowed}; send less",
                code="over_limit",
                param=param,
            )


def bad_field(error: ValidationError) -> BadRequest:
    """The fault that the client most likely meant, without the value that it gave."""
    # Of a union's branches the one that got deepest is the one the client meant.
    faults = error.errors(include_input=False, include_url=False)
    fault = max(faults, key=lambda each: len(each["loc"]))
    param = _path(fault["loc"])
    if fault["type"] == "json_invalid":
        return BadRequest("the body is not valid JSON; send one JSON object", code="invalid_json")
    if fault["type"].startswith("union_tag"):
        message = f"{param}: a content part has one of the types {', '.join(PART_TYPES)}"
        return BadRequest(message, code="invalid_content_part", param=param)
    return BadRequest(f"{param}: {fault['msg']}", code="invalid_field", param=param)


def _path(location: tuple[Any, ...]) -> str:
    """A pydantic location as OpenAI writes one, messages[0].content: without the names of union branches."""
    text = ""
    previous: Any = None
    for item in location:
        is_branch = "[" in str(item) or item in UNION_BRANCHES
        is_branch = is_branch or (isinstance(previous, int) and item in PART_TYPES)
        if isinstance(item, int):
            text += f"[{item}]"
        elif not is_branch:
            text += f".{item}"
        previous = item
    return text.removeprefix(".") or "body"
