"""Requests to endpoints that match or embed instead of answering: vLLM's `/v1/score` and `/v1/embeddings`.

A match is the score of a text and an image. An embedding is of an image or of a text; a model with several
vectors an image (BLIP-2's queries) gives a list of them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from eval_client.endpoint.chat import ChatReply
from eval_client.errors import FailureKind, RequestError
from eval_client.images import EncodedImage


@dataclass(frozen=True, slots=True)
class MatchRequest:
    """How well a text fits an image."""

    model: str
    image: EncodedImage
    text: str
    path: str = "score"

    def body(self, *, is_stream: bool) -> bytes:
        """The JSON of the request. ValueError for a stream: these replies come whole."""
        _check_whole(is_stream)
        return json.dumps(self._document(self.image.data_uri)).encode()

    @property
    def hash(self) -> str:
        """SHA-256 of the request with the image's hash in the image's place."""
        return _hash(self.path, self._document(self.image.sha256))

    def _document(self, url: str) -> dict[str, Any]:
        content = [{"type": "image_url", "image_url": {"url": url}}]
        return {"model": self.model, "text_1": self.text, "text_2": {"content": content}}


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """The vectors of an image, or of a text where there is one (`image` then only says whose it is)."""

    model: str
    image: EncodedImage
    text: str | None = None
    path: str = "embeddings"

    def body(self, *, is_stream: bool) -> bytes:
        """The JSON of the request. ValueError for a stream: these replies come whole."""
        _check_whole(is_stream)
        return json.dumps(self._document(self.image.data_uri)).encode()

    @property
    def hash(self) -> str:
        """SHA-256 of the request with the image's hash in the image's place."""
        return _hash(self.path, self._document(self.image.sha256))

    def _document(self, url: str) -> dict[str, Any]:
        part = {"type": "image_url", "image_url": {"url": url}}
        content: list[dict[str, Any]] = [part if self.text is None else {"type": "text", "text": self.text}]
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "encoding_format": "float",
        }


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    score: FiniteFloat | None = None
    embedding: list[FiniteFloat] | list[list[FiniteFloat]] | None = None


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    data: list[_Entry]


def parse_pooling(content: bytes, sent_at_s: float, end_s: float) -> ChatReply:
    """The reply to either request. Raises RequestError for what holds neither a score nor vectors."""
    try:
        reply = _Reply.model_validate_json(content)
    except ValidationError as exc:
        shown = content[:80].decode(errors="replace")
        kind: FailureKind = "error_body" if b'"error"' in content[:200] else "garbage"
        raise RequestError(kind, f"neither scores nor embeddings: {shown!r}", is_transient=False) from exc
    if not reply.data:
        raise RequestError("empty", "the reply holds no score and no embedding")
    entry = reply.data[0]
    return ChatReply(
        text="",
        finish_reason="stop",
        usage=None,
        sent_at_s=sent_at_s,
        chunk_times_s=(),
        end_s=end_s,
        score=entry.score,
        embedding=_rows(entry.embedding),
    )


def _rows(embedding: list[float] | list[list[float]] | None) -> tuple[tuple[float, ...], ...] | None:
    if not embedding:
        return None
    rows = [row if isinstance(row, list) else None for row in embedding]
    if rows[0] is None:
        return (tuple(float(value) for value in embedding if not isinstance(value, list)),)
    vectors = tuple(tuple(row) for row in rows if row)
    if len({len(vector) for vector in vectors}) != 1:
        raise RequestError("garbage", "an embedding whose vectors differ in length", is_transient=False)
    return vectors


def _check_whole(is_stream: bool) -> None:
    if is_stream:
        raise ValueError("scores and embeddings are never streamed")


def _hash(path: str, document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps({"path": path} | document, sort_keys=True).encode()).hexdigest()
