"""Requests a minute by key: a token bucket that holds one minute's worth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from server.errors import TooMany
from server.keys import KeyRecord


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimiter:
    """Buckets of the keys that have a limit; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def spend(self, key: KeyRecord) -> None:
        """Take one request from the key's bucket; raise TooMany with the wait where it is empty."""
        if key.requests_per_minute is None:
            return
        rate = key.requests_per_minute / 60
        now = self._clock()
        bucket = self._buckets.setdefault(key.id, _Bucket(key.requests_per_minute, now))
        bucket.left = min(key.requests_per_minute, bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.left < 1:
            raise TooMany(
                f"this key may send {key.requests_per_minute} requests a minute; wait and try again",
                code="rate_limited",
                retry_after_s=math.ceil((1 - bucket.left) / rate),
            )
        bucket.left -= 1
