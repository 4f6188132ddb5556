"""Choice of tokens, and the log-probabilities that go with them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from server.workers.transformers_worker.sampling import Sampler, Sampling, truncated

LOGITS = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
ROWS = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12)


@given(ROWS, st.integers(0, 12), st.floats(0.01, 1.0))
def test_truncation_keeps_a_distribution_over_the_likeliest(
    row: list[float], top_k: int, top_p: float
) -> None:
    logits = torch.tensor(row)
    weights = truncated(logits, top_k, top_p)
    kept = weights > 0
    assert kept.any()
    likelihood = torch.softmax(logits, dim=-1)
    assert kept.all() or likelihood[kept].min() >= likelihood[~kept].max()
    if top_k:
        assert int(kept.sum()) <= top_k


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.5, 1), (0.51, 2), (0.9, 3), (1.0, 4)])
def test_the_nucleus_is_the_smallest_that_reaches_top_p(top_p: float, kept: int) -> None:
    assert int((truncated(LOGITS, 0, top_p) > 0).sum()) == kept


def test_temperature_zero_takes_the_likeliest() -> None:
    sampler = Sampler(Sampling(temperature=0))
    assert {sampler.choose(LOGITS).id for _ in range(20)} == {0}


def test_a_seed_fixes_the_choices_and_another_changes_them() -> None:
    def chosen(seed: int) -> list[int]:
        sampler = Sampler(Sampling(seed=seed))
        return [sampler.choose(LOGITS).id for _ in range(64)]

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)


def test_choices_follow_the_distribution() -> None:
    sampler = Sampler(Sampling(seed=0))
    counts = torch.bincount(torch.tensor([sampler.choose(LOGITS).id for _ in range(4000)]), minlength=4)
    assert torch.allclose(counts / 4000, LOGITS.exp(), atol=0.03)


def test_logprobs_are_the_models_own_whatever_the_temperature() -> None:
    token = Sampler(Sampling(temperature=0.1, top_p=0.3, seed=0, top_logprobs=2)).choose(LOGITS)
    assert token.id == 0
    assert token.logprob == pytest.approx(math.log(0.5), abs=1e-5)
    assert [each for each, _ in token.top] == [0, 1]
    assert [value for _, value in token.top] == pytest.approx([math.log(0.5), math.log(0.3)], abs=1e-5)
