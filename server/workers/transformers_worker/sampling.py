"""From logits to a token: temperature, top-k, top-p, and log-probabilities as vLLM reports them.

Reported log-probabilities are of the model's own distribution, before temperature and truncation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose tokens. `top_k` 0 takes all; `seed` None draws one; `top_logprobs` None reports none."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its id, log-probability, and the likeliest ones at its place with theirs."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses the tokens of one answer; equal seeds choose equally."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def choose(self, logits: Tensor) -> Token:
        """The next token of `logits` [vocabulary]."""
        logits = logits.float().cpu()
        if self._sampling.temperature == 0:
            chosen = int(logits.argmax())
        else:
            weights = truncated(
                logits / self._sampling.temperature, self._sampling.top_k, self._sampling.top_p
            )
            chosen = int(torch.multinomial(weights, 1, generator=self._generator))
        if self._sampling.top_logprobs is None:
            return Token(chosen, 0.0)
        return describe(torch.log_softmax(logits, dim=-1), chosen, self._sampling.top_logprobs)


def truncated(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """Probabilities [vocabulary] with all but the top k, and all beyond the top-p nucleus, at zero.

    The nucleus is the smallest set of likeliest tokens whose probabilities reach `top_p`.
    """
    ordered, places = torch.softmax(logits, dim=-1).sort(descending=True)
    if 0 < top_k < len(ordered):
        ordered[top_k:] = 0
        ordered /= ordered.sum()
    before = ordered.cumsum(dim=-1) - ordered
    ordered[before >= top_p] = 0
    return torch.zeros_like(ordered).scatter_(0, places, ordered)


def describe(logprobs: Tensor, chosen: int, count: int) -> Token:
    """Token `chosen` with the `count` likeliest of `logprobs` [vocabulary]."""
    values, ids = logprobs.topk(min(count, len(logprobs)))
    top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
    return Token(chosen, float(logprobs[chosen]), top)
