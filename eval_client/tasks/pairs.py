"""Scores of image-caption pairs from log-probabilities, and which of them an endpoint can give.

yes_probability (VQAScore, arXiv 2404.01291): the model is asked whether the caption fits, and the score is
log P(yes) - log P(no) of the first token. An endpoint lists only the likeliest tokens; a word that is not
among them gets the smallest listed log-probability, an upper bound. Where both are missing the score is 0.

caption_likelihood: the caption is given as the answer to the caption prompt, and the score is its mean
log-probability per token. A share of what the language alone makes of it, the same mean about a grey
picture, may be taken off (VisualGPTScore, arXiv 2306.01879): `tasks/pair_scores.py`.

image_text_matching: the endpoint's own score of the pair (BLIP-2's matching head). embeddings: no score of
pairs at all, but vectors of both sides: `tasks/embeddings.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from eval_client.datasets import Candidate, Shard
from eval_client.endpoint import ChatClient, ChatReply, ChatRequest, TokenLogprob
from eval_client.errors import RequestError
from eval_client.prompts import PromptSet, RetrievalMode
from eval_client.tasks.samples import pair_sample

_SPACES = str.maketrans("", "", " \t\r\n\u2581\u0120\u010a")
"""White space, and what tokenizers write for it: U+2581 (SentencePiece), U+0120 and U+010A (byte BPE)."""


def pair_score(mode: RetrievalMode, reply: ChatReply, candidate: Candidate) -> float:
    """The pair's score in this mode. Raises RequestError where the reply has no log-probabilities."""
    if mode == "image_text_matching":
        if reply.score is None:
            raise RequestError("garbage", "the reply has no score of the pair", is_transient=False)
        return reply.score
    if mode == "yes_probability":
        if reply.top_logprobs is None:
            raise RequestError("garbage", "the reply has no log-probabilities", is_transient=False)
        return yes_log_odds(reply.top_logprobs)
    if reply.prompt_logprobs is None:
        raise RequestError("garbage", "the reply has no prompt log-probabilities", is_transient=False)
    return mean_log_likelihood(reply.prompt_logprobs, candidate.text)


def yes_log_odds(tokens: Iterable[TokenLogprob]) -> float:
    """log P(yes) - log P(no) among the likeliest first tokens, in any case and with any space before."""
    listed = [(each.token.translate(_SPACES).lower(), each.logprob) for each in tokens]
    least = min((logprob for _, logprob in listed), default=0.0)
    yes, no = (_log_sum([value for word, value in listed if word == answer]) for answer in ("yes", "no"))
    return (least if yes is None else yes) - (least if no is None else no)


def mean_log_likelihood(tokens: tuple[TokenLogprob, ...], caption: str) -> float:
    """Mean log-probability of the tokens at the end of the prompt that spell the caption.

    Raises RequestError where the prompt does not end in the caption.
    """
    wanted = _spelling(caption)
    spelled, logprobs = "", []
    for token in reversed(tokens):
        if len(spelled) >= len(wanted):
            break
        spelled = _spelling(token.token) + spelled
        logprobs.append(token.logprob)
    if not logprobs or not spelled.endswith(wanted):
        raise RequestError(
            "garbage", f"the prompt ends in {spelled[-40:]!r}, not in the caption", is_transient=False
        )
    return math.fsum(logprobs) / len(logprobs)


async def probe_mode(
    client: ChatClient, model: str, modes: Sequence[RetrievalMode], prompts: PromptSet, shard: Shard
) -> tuple[RetrievalMode | None, str]:
    """The first of the modes that this endpoint can, and why not the ones before.

    A refused connection or an error of the server is raised as RequestError: it says nothing about modes.
    """
    reasons = []
    for mode in modes:
        try:
            await _try_mode(client, model, mode, prompts, shard)
        except RequestError as exc:
            if exc.is_transient:
                raise
            reasons.append(f"{mode}: {exc}")
        else:
            return mode, "; ".join(reasons)
    return None, "; ".join(reasons)


async def _try_mode(
    client: ChatClient, model: str, mode: RetrievalMode, prompts: PromptSet, shard: Shard
) -> None:
    """Ask about one pair. Raises RequestError."""
    image, candidate = shard.images[0], shard.captions[0]
    request = pair_sample(image, candidate, prompts, mode).request(model, image.read())
    if isinstance(request, ChatRequest):
        pair_score(mode, await client.complete(request), candidate)
        return
    reply = await client.pool(request)
    if mode == "image_text_matching":
        pair_score(mode, reply, candidate)
    elif reply.embedding is None:
        raise RequestError("garbage", "the reply has no embedding", is_transient=False)


def _spelling(text: str) -> str:
    """What both a caption and its tokens show: tokens may hold a part of a character outside ASCII."""
    return "".join(letter for letter in text.lower() if letter.isascii() and not letter.isspace())


def _log_sum(values: list[float]) -> float | None:
    if not values:
        return None
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))
