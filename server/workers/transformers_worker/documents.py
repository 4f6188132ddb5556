"""OpenAI's JSON objects of an answer, whole or in chunks."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from server.workers.transformers_worker.engine import Answer, Piece
from server.workers.transformers_worker.sampling import Token


@dataclass(frozen=True, slots=True)
class Documents:
    """Writes the objects of one answer, which share an id, a time and the model's name."""

    model: str
    tokenizer: Any
    has_logprobs: bool
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, pieces: list[Piece], answer: Answer) -> dict[str, Any]:
        """The whole answer (`chat.completion`)."""
        text = "".join(piece.text for piece in pieces)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": self._logprobs([piece.token for piece in pieces]),
            "finish_reason": pieces[-1].finish_reason,
        }
        document = {**self._head("chat.completion"), "choices": [choice], "usage": usage(answer)}
        if answer.prompt_tokens is not None:
            document["prompt_logprobs"] = [self._prompt_place(token) for token in answer.prompt_tokens]
        return document

    def opening(self) -> dict[str, Any]:
        """The first chunk: the role."""
        return self._chunk({"role": "assistant", "content": ""}, None, None)

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """The chunk of one piece."""
        return self._chunk({"content": piece.text}, self._logprobs([piece.token]), piece.finish_reason)

    def closing(self, answer: Answer) -> dict[str, Any]:
        """The chunk with the usage, which has no choices."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage(answer)}

    def _chunk(self, delta: dict[str, Any], logprobs: Any, finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _logprobs(self, tokens: list[Token]) -> dict[str, Any] | None:
        if not self.has_logprobs:
            return None
        content = [
            {
                **self._named(token.id, token.logprob),
                "top_logprobs": [self._named(each, logprob) for each, logprob in token.top],
            }
            for token in tokens
        ]
        return {"content": content, "refusal": None}

    def _named(self, token_id: int, logprob: float) -> dict[str, Any]:
        text = self.tokenizer.decode([token_id])
        return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode())}

    def _prompt_place(self, token: Token | None) -> dict[str, Any] | None:
        """vLLM's form: the prompt's own token first, then the likeliest ones, by id."""
        if token is None:
            return None
        listed = {token.id: token.logprob} | dict(token.top)
        return {
            str(each): {"logprob": max(logprob, -9999.0), "decoded_token": self.tokenizer.decode([each])}
            for each, logprob in listed.items()
        }


def usage(answer: Answer) -> dict[str, int]:
    """Tokens read and written."""
    return {
        "prompt_tokens": answer.prompt_length,
        "completion_tokens": answer.completion_length,
        "total_tokens": answer.prompt_length + answer.completion_length,
    }
