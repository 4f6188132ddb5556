"""Latencies in constant memory: logarithmic buckets, whose quantiles are right to 2 %.

Source: Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees", VLDB 2019. Times are clipped to 0.1 ms ... 10,000 s, so there are at most 462 buckets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from server.experiments.moments import Moments

ACCURACY = 0.02
LOWEST_S = 1e-4
HIGHEST_S = 1e4
_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
_LOG_LOWEST = math.log(LOWEST_S)
LOG_RANGE = math.log(HIGHEST_S) - _LOG_LOWEST


@dataclass(slots=True)
class LatencySketch:
    """Times in seconds. `logs` holds log(time) scaled to [0, 1], for ratios of geometric means."""

    buckets: dict[int, int] = field(default_factory=dict)
    logs: Moments = field(default_factory=Moments)

    def add(self, seconds: float) -> None:
        """Take in one time."""
        log = math.log(min(max(seconds, LOWEST_S), HIGHEST_S))
        bucket = math.ceil(log / _LOG_GAMMA)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.logs.add(min(1.0, max(0.0, (log - _LOG_LOWEST) / LOG_RANGE)))

    def quantile(self, share: float) -> float | None:
        """Time that a `share` of the times does not exceed, None of nothing."""
        rank = share * (self.logs.count - 1)
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen > rank:
                return float(2 * _GAMMA**bucket / (_GAMMA + 1))
        return None
