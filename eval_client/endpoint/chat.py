"""The chat protocol: a request about one image, and the reply it got.

A reply exists only where the endpoint really answered; everything else is a RequestError.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bitloom.results import Usage
from eval_client.images import EncodedImage

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One user turn of an image and a text; `assistant` is the beginning of the answer, if it is given.

    `options` go into the body as they are (logprobs, max_tokens of a task, ...).
    """

    model: str
    image: EncodedImage
    prompt: str
    max_tokens: int
    stop: tuple[str, ...] = ()
    assistant: str | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: NO_OPTIONS)
    path: str = "chat/completions"

    def body(self, *, is_stream: bool) -> bytes:
        """The JSON of the request."""
        extra = {"stream": True, "stream_options": {"include_usage": True}} if is_stream else {}
        return json.dumps(self._document(self.image.data_uri) | extra).encode()

    @property
    def hash(self) -> str:
        """SHA-256 of the request with the image's hash in the image's place; equal for streaming and not."""
        document = self._document(self.image.sha256)
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def _document(self, url: str) -> dict[str, Any]:
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": self.prompt},
        ]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        document: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "max_tokens": self.max_tokens,
            "temperature": 0,
        }
        if self.stop:
            document["stop"] = list(self.stop)
        if self.assistant is not None:
            messages.append({"role": "assistant", "content": self.assistant})
            document |= {"add_generation_prompt": False, "continue_final_message": True}
        return document | dict(self.options)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token as text and its natural log-probability."""

    token: str
    logprob: float


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What an endpoint answered. Times are seconds since the request was sent, at `sent_at_s` (Unix time).

    `top_logprobs` are the likeliest first tokens, `prompt_logprobs` the prompt's tokens, where the request
    asked for them and the endpoint gave them; `score` and `embedding` are what a match or an embedding got.
    """

    text: str
    finish_reason: str
    usage: Usage | None
    sent_at_s: float
    chunk_times_s: tuple[float, ...]
    end_s: float
    top_logprobs: tuple[TokenLogprob, ...] | None = None
    prompt_logprobs: tuple[TokenLogprob, ...] | None = None
    score: float | None = None
    embedding: tuple[tuple[float, ...], ...] | None = None
