"""What the gateway reads in a worker's unstreamed answer; everything else passes unseen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator


class PromptDetails(BaseModel):
    """What the prompt was made of, as vLLM reports it (`--enable-prompt-tokens-details`)."""

    image_tokens: int | None = None
    multimodal_tokens: dict[str, int] | None = None


class Usage(BaseModel):
    """Token counts, None where the worker reports none."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None

    @property
    def image_tokens(self) -> int | None:
        """Prompt tokens that stand for images, None where that is not reported."""
        details = self.prompt_tokens_details
        if details is None:
            return None
        return details.image_tokens or (details.multimodal_tokens or {}).get("image")


class AnswerMessage(BaseModel):
    """The message of a chat completion."""

    content: str | None = None
    tool_calls: list[Any] | None = None


class Choice(BaseModel):
    """One of the answers."""

    finish_reason: str | None = None
    message: AnswerMessage = AnswerMessage()
    text: str | None = None


class Answer(BaseModel):
    """A chat or text completion."""

    choices: Annotated[list[Choice], Field(min_length=1)]
    usage: Usage = Usage()

    @field_validator("usage", mode="before")
    @classmethod
    def _null_is_none_reported(cls, usage: Any) -> Any:
        return {} if usage is None else usage

    @property
    def is_empty(self) -> bool:
        """Whether the first answer has no content at all."""
        first = self.choices[0]
        return not (first.message.content or first.message.tool_calls or first.text)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is counted of a whole answer, of whatever kind."""

    usage: Usage
    finish_reason: str | None
    is_empty: bool


def read_completion(body: bytes) -> Reading:
    """A chat or text completion; raises ValidationError for anything else."""
    answer = Answer.model_validate_json(body)
    return Reading(answer.usage, answer.choices[0].finish_reason, answer.is_empty)


class Counted(BaseModel):
    """Embeddings, or tokens: an object that may report its usage."""

    usage: Usage | None = None


def read_count(body: bytes) -> Reading:
    """Embeddings or tokens; raises ValidationError for what is no object."""
    usage = Counted.model_validate_json(body).usage or Usage()
    return Reading(usage, None, is_empty=False)
