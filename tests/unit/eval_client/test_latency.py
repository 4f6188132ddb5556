"""Latency figures from records with known times."""

import pytest

from bitloom.results import SampleRecord, Usage
from eval_client.latency import quantiles, summarise, time_per_output_token_s

HASH = "0" * 64


def record(
    chunks: tuple[float, ...], end: float | None, *, sent: float = 0.0, tokens: int | None = None
) -> SampleRecord:
    is_failed = end is None
    return SampleRecord(
        sample_id="s",
        task="caption",
        image_id="i",
        request_hash=HASH,
        image_sha256=HASH,
        prompt="p",
        state="failed" if is_failed else "answered",
        answer=None if is_failed else "a",
        error="stalled: x" if is_failed else None,
        finish_reason=None if is_failed else "stop",
        usage=None if tokens is None else Usage(prompt_tokens=1, completion_tokens=tokens),
        sent_at_s=sent,
        chunk_times_s=chunks,
        end_s=end,
        retries=0,
    )


def test_figures_of_two_requests_at_a_time() -> None:
    timed = summarise([record((0.1, 0.2, 0.4), 0.5), record((0.3, 0.4), 0.5, sent=0.5)], concurrency=2)
    assert timed.time_to_first_token_s is not None
    assert timed.time_to_first_token_s.mean == pytest.approx(0.2)
    assert timed.inter_token_s is not None
    assert timed.inter_token_s.count == 3
    assert timed.generated_tokens_per_s == pytest.approx(5 / 1.0)
    assert timed.requests_per_s == pytest.approx(2 / 1.0)


def test_a_failed_request_is_in_no_figure() -> None:
    timed = summarise([record((), None), record((0.1,), 0.2)], concurrency=1)
    assert (timed.requests, timed.failed) == (2, 1)
    assert timed.request_latency_s is not None
    assert timed.request_latency_s.count == 1


def test_figures_over_nothing_are_none() -> None:
    timed = summarise([record((), None)], concurrency=1)
    assert timed.time_to_first_token_s is None
    assert timed.request_latency_s is None
    assert timed.requests_per_s is None


def test_time_per_output_token_leaves_the_unseen_stop_token_out() -> None:
    assert time_per_output_token_s(record((0.1, 0.2, 0.3), 0.4, tokens=4)) == pytest.approx(0.1)


def test_time_per_output_token_counts_several_tokens_a_chunk() -> None:
    assert time_per_output_token_s(record((0.1, 0.5), 0.6, tokens=9)) == pytest.approx(0.05)


def test_time_per_output_token_needs_two() -> None:
    assert time_per_output_token_s(record((0.1,), 0.2, tokens=1)) is None


def test_quantiles_interpolate() -> None:
    found = quantiles([0.0, 1.0, 2.0, 3.0, 4.0])
    assert found is not None
    assert found.p50 == 2.0
    assert found.p90 == pytest.approx(3.6)
    assert quantiles([]) is None
