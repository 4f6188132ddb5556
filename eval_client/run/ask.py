"""Asking one sample: retries for quality, none for timing, and a record whatever happens."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

from bitloom.results import SampleRecord
from eval_client.endpoint import ChatClient, ChatReply, ChatRequest
from eval_client.errors import RequestError
from eval_client.images import EncodedImage
from eval_client.tasks.embeddings import EMBEDDING, pack
from eval_client.tasks.pairs import pair_score
from eval_client.tasks.samples import AnyRequest, Sample

_SLOW_KINDS = {"timeout", "stalled"}
_LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is sent again. Waits double from `backoff_s`, or are what the endpoint asks.

    A request that was slow to fail is sent again once only.
    """

    retries: int
    backoff_s: float

    def wait_s(self, error: RequestError, attempt: int) -> float | None:
        """Seconds to wait before sending again after failure number `attempt` (from 0); None to give up."""
        allowed = min(self.retries, 1) if error.kind in _SLOW_KINDS else self.retries
        if not error.is_transient or attempt >= allowed:
            return None
        wanted = error.retry_after_s or self.backoff_s * 2**attempt * random.uniform(0.75, 1.25)
        return min(wanted, _LONGEST_WAIT_S)


NO_RETRIES = RetryPolicy(retries=0, backoff_s=0.0)


async def ask(
    client: ChatClient, sample: Sample, model: str, policy: RetryPolicy, image: EncodedImage | None = None
) -> SampleRecord:
    """Ask a sample until it is answered or the policy gives up. `image` replaces the sample's own.

    Raises DataError where the sample's image has become unreadable.
    """
    request = sample.request(model, image or sample.image.read())
    attempt = 0
    while True:
        first_sent_at_s = time.time()
        try:
            reply = await _send(client, sample, request)
            score = _score(sample, reply)
        except RequestError as exc:
            wait_s = policy.wait_s(exc, attempt)
            if wait_s is None:
                return _failed(sample, request, exc, first_sent_at_s, attempt)
            await asyncio.sleep(wait_s)
            attempt += 1
        else:
            return _answered(sample, request, reply, score, attempt)


async def _send(client: ChatClient, sample: Sample, request: AnyRequest) -> ChatReply:
    """Pairs need log-probabilities, which come whole; answers are streamed, so that they are timed."""
    if not isinstance(request, ChatRequest):
        return await client.pool(request)
    if sample.mode is None:
        return await client.stream(request)
    return await client.complete(request)


def _score(sample: Sample, reply: ChatReply) -> float | None:
    if sample.scorer == EMBEDDING:
        if reply.embedding is None:
            raise RequestError("garbage", "the reply has no embedding", is_transient=False)
        return None
    if sample.mode is None or sample.candidate is None:
        return None
    return pair_score(sample.mode, reply, sample.candidate)


def _answered(
    sample: Sample, request: AnyRequest, reply: ChatReply, score: float | None, retries: int
) -> SampleRecord:
    return SampleRecord(
        **_identity(sample, request),
        state="answered",
        answer=reply.text,
        score=score,
        embedding=pack(reply.embedding) if reply.embedding else None,
        embedding_width=len(reply.embedding[0]) if reply.embedding else None,
        error=None,
        finish_reason=reply.finish_reason,
        usage=reply.usage,
        sent_at_s=reply.sent_at_s,
        chunk_times_s=reply.chunk_times_s,
        end_s=reply.end_s,
        retries=retries,
    )


def _failed(
    sample: Sample, request: AnyRequest, error: RequestError, sent_at_s: float, retries: int
) -> SampleRecord:
    return SampleRecord(
        **_identity(sample, request),
        state="failed",
        answer=None,
        error=str(error),
        finish_reason=None,
        usage=None,
        sent_at_s=sent_at_s,
        chunk_times_s=(),
        end_s=None,
        retries=retries,
    )


def _identity(sample: Sample, request: AnyRequest) -> dict[str, object]:
    """The fields of a record that do not depend on how the request ended."""
    return {
        "sample_id": sample.sample_id,
        "task": sample.task,
        "image_id": sample.image.image_id,
        "kind": sample.kind,
        "caption_id": sample.candidate.caption_id if sample.candidate else None,
        "references": sample.references,
        "scorer": sample.scorer,
        "request_hash": request.hash,
        "image_sha256": request.image.sha256,
        "prompt": sample.prompt,
    }
