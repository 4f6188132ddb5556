"""Requests without messages: text completions, embeddings, token counts, as far as the gateway reads them.

As with chats the rest goes to the engine, except the fields that are refused by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from server.app.chat_request import StreamOptions, bad_field, check_measures, check_refused, json_of
from server.config import Limits

# A prompt as OpenAI defines one: text, texts, tokens, or lists of tokens. Failing fast bounds the faults.
Tokens = Annotated[list[StrictInt], Field(fail_fast=True, min_length=1)]
Prompt = (
    str
    | Annotated[list[str], Field(fail_fast=True, min_length=1)]
    | Tokens
    | Annotated[list[Tokens], Field(fail_fast=True, min_length=1)]
)
Parsed = TypeVar("Parsed", bound="TextRequest")


class TextRequest(BaseModel, ABC):
    """What these requests share: a model, and fields that pass through unchanged."""

    model_config = ConfigDict(extra="allow", ser_json_inf_nan="constants")

    model: str
    user: str | None = None

    def body(self, model: str) -> bytes:
        """JSON for the worker: `model` replaced, all else as it came."""
        return json_of(self, model)

    @abstractmethod
    def measures(self, limits: Limits) -> list[tuple[str, str, int, int]]:
        """What is limited: field, what is counted, how much was given, how much is allowed."""


class CompletionRequest(TextRequest):
    """POST /v1/completions."""

    prompt: Prompt
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    best_of: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: str | Annotated[list[str], Field(fail_fast=True)] | None = None

    def unstreamed(self) -> CompletionRequest:
        """The same request for a whole answer."""
        fields = self.model_copy()
        for name in ("stream", "stream_options"):
            setattr(fields, name, None)
            fields.model_fields_set.discard(name)
        return fields

    def measures(self, limits: Limits) -> list[tuple[str, str, int, int]]:
        """Answers count for every prompt: the engine runs them all."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        prompts = count_of(self.prompt)
        return [
            ("n", "value", self.n or 1, limits.n),
            ("best_of", "value", self.best_of or 1, limits.n),
            ("max_tokens", "value", self.max_tokens or 1, limits.max_tokens),
            ("prompt", "prompts times n", prompts * (self.n or 1), max(limits.prompts, limits.n)),
            ("prompt", "prompts", prompts, limits.prompts),
            ("stop", "strings", len(stops), limits.stop_strings),
            ("stop", "characters in one string", max(map(len, stops), default=0), limits.stop_characters),
        ]


class EmbeddingRequest(TextRequest):
    """POST /v1/embeddings."""

    input: Prompt

    def measures(self, limits: Limits) -> list[tuple[str, str, int, int]]:
        """Inputs are counted as prompts are."""
        return [("input", "inputs", count_of(self.input), limits.prompts)]


class TokenizeRequest(TextRequest):
    """POST /tokenize of a text."""

    prompt: str

    def measures(self, limits: Limits) -> list[tuple[str, str, int, int]]:
        """A text is bounded by the body; it must not be counted longer than one."""
        return [("prompt", "characters", len(self.prompt), limits.body_bytes)]


def count_of(prompt: str | list[Any]) -> int:
    """Prompts in a request: a list of numbers is one."""
    return 1 if isinstance(prompt, str) or isinstance(prompt[0], int) else len(prompt)


def length_of(prompt: str | list[Any]) -> int:
    """Characters of all prompts; a token counts as one, since it costs no less."""
    if isinstance(prompt, str) or isinstance(prompt[0], int):
        return len(prompt)
    return sum(map(len, prompt))


def parse_text(kind: type[Parsed], body: bytes, limits: Limits) -> Parsed:
    """Validated request of a kind; raises BadRequest that names the field, never quoting its value."""
    try:
        request = kind.model_validate_json(body)
    except ValidationError as exc:
        raise bad_field(exc) from exc
    check_refused(request)
    check_measures(request.measures(limits))
    return request
