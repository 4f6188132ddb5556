"""Latency figures of a timed pass.

TTFT is the first chunk with content. TPOT of a request is (last chunk - first chunk) / (n - 1): n is what
the endpoint counts as generated tokens, unless it counts just one more than there were chunks, which is the
token that ended the answer and was never sent. Figures over nothing are None. The wait for a place in the
client (`queued_s`) is a figure of its own and in no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from bitloom.results import Arrivals, LatencyPass, Quantiles, SampleRecord
from eval_client.slo import NO_SLO, Slo


def summarise(
    records: Sequence[SampleRecord],
    concurrency: int,
    *,
    arrivals: Arrivals = "closed",
    rate_per_s: float | None = None,
    slo: Slo = NO_SLO,
) -> LatencyPass:
    """The figures of one timed pass. Failed requests are counted, and in no figure; none of them is good."""
    answered = [record for record in records if record.state == "answered"]
    wall_s = _wall_s(answered)
    tokens = sum(_generated_tokens(record) for record in answered)
    good = sum(is_good(record, slo) for record in answered) if slo.bounds else None
    return LatencyPass(
        concurrency=concurrency,
        requests=len(records),
        failed=len(records) - len(answered),
        time_to_first_token_s=quantiles([each.chunk_times_s[0] for each in answered if each.chunk_times_s]),
        inter_token_s=quantiles([gap for each in answered for gap in _gaps(each)]),
        time_per_output_token_s=quantiles(
            [tpot for each in answered if (tpot := time_per_output_token_s(each)) is not None]
        ),
        request_latency_s=quantiles([each.end_s for each in answered if each.end_s is not None]),
        generated_tokens_per_s=tokens / wall_s if wall_s else None,
        requests_per_s=len(answered) / wall_s if wall_s else None,
        arrivals=arrivals,
        rate_per_s=rate_per_s,
        queued_s=quantiles([each.queued_s for each in answered if each.queued_s is not None]),
        slo=dict(slo.bounds),
        good=good,
        goodput_per_s=good / wall_s if good is not None and wall_s else None,
    )


def is_good(record: SampleRecord, slo: Slo) -> bool:
    """Whether an answer kept every bound. One of a single token has no TPOT, and so none that is too long."""
    measured = {
        "ttft": record.chunk_times_s[0] if record.chunk_times_s else record.end_s,
        "tpot": time_per_output_token_s(record) or 0.0,
        "latency": record.end_s,
    }
    values = [(measured[name], bound) for name, bound in slo.bounds.items()]
    return all(value is not None and value <= bound for value, bound in values)


def quantiles(values: Sequence[float]) -> Quantiles | None:
    """Mean and quantiles (linear interpolation) of some seconds; None where there are none."""
    if not values:
        return None
    p50, p90, p99 = np.quantile(values, [0.5, 0.9, 0.99]).tolist()
    return Quantiles(count=len(values), mean=float(np.mean(values)), p50=p50, p90=p90, p99=p99)


def time_per_output_token_s(record: SampleRecord) -> float | None:
    """Seconds a token after the first; None for fewer than two tokens."""
    chunks = len(record.chunk_times_s)
    tokens = _generated_tokens(record)
    steps = (chunks if tokens == chunks + 1 else tokens) - 1
    if chunks < 2 or steps < 1:
        return None
    return (record.chunk_times_s[-1] - record.chunk_times_s[0]) / steps


def _gaps(record: SampleRecord) -> list[float]:
    return [later - earlier for earlier, later in pairwise(record.chunk_times_s)]


def _generated_tokens(record: SampleRecord) -> int:
    return record.usage.completion_tokens if record.usage else len(record.chunk_times_s)


def _wall_s(answered: Sequence[SampleRecord]) -> float | None:
    """Seconds from the first request sent to the last one ended."""
    ends = [each.sent_at_s + each.end_s for each in answered if each.end_s is not None]
    if not ends:
        return None
    return max(ends) - min(each.sent_at_s for each in answered)
