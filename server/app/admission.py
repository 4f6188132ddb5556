"""How many requests of a variant may be unanswered at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from server.config import Limits
from server.errors import TooMany
from server.metrics import Metrics


class Admission:
    """Counts the requests in flight by variant and refuses those beyond the limit."""

    def __init__(self, outstanding: int, metrics: Metrics) -> None:
        self._limit = outstanding
        self._metrics = metrics
        self._in_flight: Counter[str] = Counter()
        self._gauges: dict[str, Gauge] = {}

    def apply(self, limits: Limits) -> None:
        """Other limits from the next request on."""
        self._limit = limits.outstanding

    @contextmanager
    def enter(self, variant: str) -> Iterator[None]:
        """Hold a place while a request runs; raise TooMany where there is none."""
        if self._in_flight[variant] >= self._limit:
            raise TooMany(
                f"variant {variant} has {self._limit} requests waiting; try again in a second",
                code="queue_full",
                retry_after_s=1,
            )
        gauge = self._gauges.get(variant) or self._gauges.setdefault(
            variant, self._metrics.in_flight.labels(variant)
        )
        self._in_flight[variant] += 1
        gauge.inc()
        try:
            yield
        finally:
            self._in_flight[variant] -= 1
            gauge.dec()
