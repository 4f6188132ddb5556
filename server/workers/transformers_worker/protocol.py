"""The chat request as this worker understands it.

Fields that would change the answer and are not implemented are refused by name, never ignored;
unknown fields pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.errors import BadRequest

NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "min_p": (0,),
    "min_tokens": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "structured_outputs": (),
    "stop_token_ids": ([],),
    "bad_words": ([],),
}


class TextPart(BaseModel):
    """A piece of text."""

    type: Literal["text"]
    text: str


class ImageUrl(BaseModel):
    """An image as a data URI; the gateway has fetched and canonicalised it."""

    url: str


class ImagePart(BaseModel):
    """An image."""

    type: Literal["image_url"]
    image_url: ImageUrl


class Message(BaseModel):
    """One turn of the conversation."""

    role: str
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] | None = None

    def template_form(self) -> dict[str, Any]:
        """The turn as chat templates take it: images without their data."""
        if not isinstance(self.content, list):
            return {"role": self.role, "content": self.content or ""}
        parts = [
            {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": "image"}
            for part in self.content
        ]
        return {"role": self.role, "content": parts}


class StreamOptions(BaseModel):
    """Options of a streamed answer."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """POST /v1/chat/completions. `top_k`, `ignore_eos`, `prompt_logprobs` and the two template fields are
    vLLM's extensions and mean the same here."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    ignore_eos: bool = False
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    prompt_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False

    @property
    def stops(self) -> tuple[str, ...]:
        """Strings that end the answer; empty ones are left out."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in given if text)

    def image_urls(self) -> Iterator[str]:
        """The images' data URIs in order."""
        for message in self.messages:
            if isinstance(message.content, list):
                yield from (part.image_url.url for part in message.content if isinstance(part, ImagePart))


def parse_chat(body: bytes) -> ChatRequest:
    """Validated request; BadRequest names the field that is wrong or not served here."""
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(item) for item in fault["loc"]) or "body"
        raise BadRequest(f"{place}: {fault['msg']}", code="invalid_field", param=place) from exc
    for name, value in (request.model_extra or {}).items():
        if name in NEUTRAL and value is not None and value not in NEUTRAL[name]:
            raise BadRequest(
                f"{name}: not served by the transformers worker; leave it out, or serve the model by vLLM",
                code="unsupported_field",
                param=name,
            )
    if request.top_logprobs is not None and not request.logprobs:
        raise BadRequest(
            "top_logprobs: needs logprobs; set it to true", code="invalid_field", param="top_logprobs"
        )
    if request.prompt_logprobs is not None and request.stream:
        raise BadRequest(
            "prompt_logprobs: not in streams; ask without stream",
            code="invalid_field",
            param="prompt_logprobs",
        )
    if request.add_generation_prompt and request.continue_final_message:
        raise BadRequest(
            "continue_final_message: excludes add_generation_prompt; set that to false",
            code="invalid_field",
            param="continue_final_message",
        )
    return request
