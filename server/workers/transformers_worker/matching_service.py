"""POST /v1/score and /v1/embeddings of a matching model, in vLLM's forms."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

from fastapi import Request
from torch import Tensor

from server.errors import BadRequest
from server.workers.transformers_worker.engine import Engine
from server.workers.transformers_worker.images import decode_image
from server.workers.transformers_worker.matching import Matching, Vectors
from server.workers.transformers_worker.matching_protocol import (
    EmbeddingRequest,
    ScoreRequest,
    Single,
    parse_matching,
)
from server.workers.transformers_worker.metrics import WorkerMetrics
from server.workers.transformers_worker.protocol import TextPart
from server.workers.transformers_worker.service import Service


class MatchingService(Service):
    """Scores pairs and embeds, a step of the engine a pair or a vector."""

    def __init__(self, name: str, engine: Engine, metrics: WorkerMetrics) -> None:
        super().__init__(name, engine, metrics)
        self._matching = Matching(engine.loaded)

    async def score(self, request: Request) -> dict[str, Any]:
        """POST /v1/score: the matching head's probability of each pair."""
        asked = parse_matching(ScoreRequest, await request.body())
        self.check_model(asked.model)
        pairs = asked.pairs()
        self.engine.check_images(len({url for _, url in pairs}), "text_2")
        async with self._measured(request):
            scores, tokens = await self._probabilities(request, pairs)
        data = [{"index": index, "object": "score", "score": score} for index, score in enumerate(scores)]
        return self._answer("score", data, tokens)

    async def embeddings(self, request: Request) -> dict[str, Any]:
        """POST /v1/embeddings: a vector a text, or the vectors of an image's queries."""
        asked = parse_matching(EmbeddingRequest, await request.body())
        self.check_model(asked.model)
        items = asked.items()
        found: list[Vectors] = []
        async with self._measured(request):
            for item in items:
                if await request.is_disconnected():
                    break
                found.append(await self.engine.run(partial(self._vectors, item)))
        data = [
            {"index": index, "object": "embedding", "embedding": _embedding(vectors, asked.encoding_format)}
            for index, vectors in enumerate(found)
        ]
        return self._answer("embd", data, sum(each.tokens for each in found))

    async def chat(self) -> None:
        """POST /v1/chat/completions: refused."""
        raise BadRequest(
            f"model: {self.name} matches images and texts and writes no answers; ask /v1/score or "
            "/v1/embeddings",
            code="not_served",
            param="model",
        )

    async def _probabilities(self, request: Request, pairs: list[tuple[str, str]]) -> tuple[list[float], int]:
        """The probability of each pair, and the tokens read; an image is looked at once."""
        seen: dict[str, Tensor] = {}
        scores, tokens = [], 0
        for text, url in pairs:
            if await request.is_disconnected():
                break
            ids = self._matching.read(text)
            if url not in seen:
                seen[url] = await self.engine.run(partial(self._see, url))
            scores.append(await self.engine.run(partial(self._matching.probability, seen[url], ids)))
            tokens += ids.shape[1] + self._matching.queries
        return scores, tokens

    def _see(self, url: str) -> Tensor:
        return self._matching.see(decode_image(url))

    def _vectors(self, item: Single) -> Vectors:
        if isinstance(item, TextPart):
            return self._matching.text_vector(self._matching.read(item.text))
        return self._matching.image_vectors(self._see(item.image_url.url))

    @asynccontextmanager
    async def _measured(self, request: Request) -> AsyncIterator[None]:
        """A place at the engine; nobody waits for the answer of an aborted request."""
        started, outcome = time.monotonic(), "failed"
        with self.metrics.running.track_inprogress():
            try:
                async with self.engine.place():
                    yield
                outcome = "aborted" if await request.is_disconnected() else "completed"
            finally:
                self.metrics.requests.labels(outcome).inc()
                self.metrics.request_seconds.observe(time.monotonic() - started)

    def _answer(self, prefix: str, data: list[dict[str, Any]], tokens: int) -> dict[str, Any]:
        self.metrics.prompt_tokens.inc(tokens)
        return {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "object": "list",
            "created": int(time.time()),
            "model": self.name,
            "data": data,
            "usage": {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens},
        }


def _embedding(vectors: Vectors, encoding: Literal["float", "base64"]) -> Any:
    """A text's vector flat, or in base64 as OpenAI's clients ask for it; an image's as rows."""
    if encoding == "base64":
        return base64.b64encode(vectors.rows[0].numpy().astype("<f4").tobytes()).decode()
    rows = vectors.rows.tolist()
    return rows[0] if len(rows) == 1 else rows
