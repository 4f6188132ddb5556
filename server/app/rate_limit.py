"""Requests and tokens a minute by key: token buckets that hold one minute's worth.

What a request will cost in tokens is known only when it is answered, so it is admitted while the bucket is
not empty and charged at its end; a bucket may go below nothing and then refuses until it has recovered.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from server.errors import TooMany
from server.experiments.outcome import Outcome
from server.keys import KeyRecord


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float

    def refill(self, per_minute: int, now: float) -> None:
        self.left = min(per_minute, self.left + (now - self.at) * per_minute / 60)
        self.at = now


class RateLimiter:
    """Buckets of the keys that have a limit, by the key's id; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests: dict[str, _Bucket] = {}
        self._tokens: dict[str, _Bucket] = {}

    def spend(self, key: KeyRecord) -> None:
        """Take one request from the key's bucket; raise TooMany with the wait where one is empty."""
        if key.tokens_per_minute is not None:
            bucket = self._bucket(self._tokens, key.id, key.tokens_per_minute)
            if bucket.left <= 0:
                raise _limited("tokens", key.tokens_per_minute, 1 - bucket.left)
        if key.requests_per_minute is not None:
            bucket = self._bucket(self._requests, key.id, key.requests_per_minute)
            if bucket.left < 1:
                raise _limited("requests", key.requests_per_minute, 1 - bucket.left)
            bucket.left -= 1

    def charging(self, key: KeyRecord) -> Callable[[Outcome], None]:
        """What takes a request's tokens from the key's bucket when it ended."""

        def charge(outcome: Outcome) -> None:
            if key.tokens_per_minute is not None:
                bucket = self._bucket(self._tokens, key.id, key.tokens_per_minute)
                bucket.left -= outcome.charged_tokens

        return charge

    def _bucket(self, buckets: dict[str, _Bucket], key_id: str, per_minute: int) -> _Bucket:
        now = self._clock()
        bucket = buckets.setdefault(key_id, _Bucket(per_minute, now))
        bucket.refill(per_minute, now)
        return bucket


def _limited(what: str, per_minute: int, missing: float) -> TooMany:
    return TooMany(
        f"this key may use {per_minute} {what} a minute; wait and try again",
        code="rate_limited",
        retry_after_s=math.ceil(missing * 60 / per_minute),
    )
