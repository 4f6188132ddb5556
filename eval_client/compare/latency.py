"""Differences of latency over pairs of timed requests about the same sample.

Medians are compared, because one stall is no property of a variant. Pairs are drawn with replacement. What
the interval cannot see is drift: a machine that was busier during one of two runs. Only requests that
were interleaved (`bitloom ab`) are free of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np

from bitloom.results import SampleRecord
from eval_client.compare.model import Figure, LatencyComparison, LatencyOutcome, Load
from eval_client.compare.pairing import PairedRuns
from eval_client.latency import time_per_output_token_s
from eval_client.stats import Array
from eval_client.stats.bootstrap import LEVEL, RESAMPLES, expanded_tail

_FEWEST = 5
_NUMBERS_AT_ONCE = 2_000_000
_READ: dict[Figure, Callable[[SampleRecord], float | None]] = {
    "TTFT": lambda record: record.chunk_times_s[0] if record.chunk_times_s else None,
    "TPOT": time_per_output_token_s,
    "request": lambda record: record.end_s,
}


def compare_latency(runs: PairedRuns, *, seed: int) -> list[LatencyComparison]:
    """Every latency of the timed passes with at least five pairs that were answered in both runs."""
    other = {record.sample_id: record for record in runs.b.timed}
    found = []
    for load in get_args(Load):
        own = [record for record in runs.a.timed if record.kind == load and record.sample_id in other]
        pairs = [(record, other[record.sample_id]) for record in own]
        for figure, read in _READ.items():
            both = [(read(a), read(b)) for a, b in pairs if a.state == b.state == "answered"]
            timed = np.array([(a, b) for a, b in both if a is not None and b is not None], np.float64)
            if len(timed) >= _FEWEST:
                found.append(_compare(load, figure, timed, seed))
    return found


def _compare(load: Load, figure: Figure, pairs: Array, seed: int) -> LatencyComparison:
    """One latency from pairs [pairs, 2] of seconds."""
    a_s, b_s = np.median(pairs, axis=0).tolist()
    drawn = _medians(pairs, seed)
    low_s, high_s = _interval(drawn[:, 1] - drawn[:, 0], len(pairs))
    has_ratio = a_s > 0 and bool((drawn[:, 0] > 0).all())
    ratio_low, ratio_high = _interval(drawn[:, 1] / drawn[:, 0], len(pairs)) if has_ratio else (1.0, 1.0)
    return LatencyComparison(
        load=load,
        figure=figure,
        pairs=len(pairs),
        a_s=a_s,
        b_s=b_s,
        difference_s=b_s - a_s,
        low_s=low_s,
        high_s=high_s,
        ratio=b_s / a_s if has_ratio else 1.0,
        ratio_low=ratio_low,
        ratio_high=ratio_high,
        outcome=_outcome(low_s, high_s),
        verdict=_verdict(b_s - a_s, low_s, high_s),
    )


def _medians(pairs: Array, seed: int) -> Array:
    """Medians of both sides in draws of the pairs: [draws, 2]."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _NUMBERS_AT_ONCE // len(pairs))
    drawn: list[Array] = []
    for start in range(0, RESAMPLES, at_once):
        chosen = rng.integers(0, len(pairs), (min(at_once, RESAMPLES - start), len(pairs)))
        drawn.append(np.median(pairs[chosen], axis=1))
    return np.concatenate(drawn)


def _interval(drawn: Array, pairs: int) -> tuple[float, float]:
    tail = expanded_tail((1 - LEVEL) / 2, pairs)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _outcome(low_s: float, high_s: float) -> LatencyOutcome:
    if low_s <= 0 <= high_s:
        return "undecided"
    return "slower" if low_s > 0 else "faster"


def _verdict(difference_s: float, low_s: float, high_s: float) -> str:
    span = f"95 % interval {low_s * 1000:+.2f} to {high_s * 1000:+.2f} ms"
    outcome = _outcome(low_s, high_s)
    if outcome == "undecided":
        return f"no difference shown ({span})"
    return f"B is {outcome} by {abs(difference_s) * 1000:.2f} ms ({span})"
