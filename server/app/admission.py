"""How many requests of a variant, and of a key, may be unanswered at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import Gauge

from server.config import Limits, VariantConfig
from server.errors import TooMany
from server.keys import KeyRecord
from server.metrics import Metrics


class Admission:
    """Counts the requests in flight by variant and by key, and refuses those beyond a limit."""

    def __init__(self, limits: Limits, variants: Sequence[VariantConfig], metrics: Metrics) -> None:
        self._metrics = metrics
        self._in_flight: Counter[str] = Counter()
        self._of_keys: Counter[str] = Counter()
        self._gauges: dict[str, Gauge] = {}
        self._own: dict[str, int] = {}
        self.apply(limits, variants)

    def apply(self, limits: Limits, variants: Sequence[VariantConfig]) -> None:
        """Other limits from the next request on."""
        self._limit = limits.outstanding
        for variant in variants:
            self.limit(variant)

    def limit(self, variant: VariantConfig) -> None:
        """The limit of one variant: its own, else that of all."""
        self._own.pop(variant.name, None)
        if variant.outstanding is not None:
            self._own[variant.name] = variant.outstanding

    @contextmanager
    def enter(self, variant: str, key: KeyRecord | None = None) -> Iterator[None]:
        """Hold a place while a request runs; raise TooMany where the variant, or the key, has none."""
        limit = self._own.get(variant, self._limit)
        if self._in_flight[variant] >= limit:
            raise TooMany(
                f"variant {variant} has {limit} requests waiting; try again in a second",
                code="queue_full",
                retry_after_s=1,
            )
        limited = key.id if key is not None and key.outstanding is not None else None
        if key is not None and key.outstanding is not None and self._of_keys[key.id] >= key.outstanding:
            raise TooMany(
                f"this key has {key.outstanding} requests waiting; try again when one is answered",
                code="key_queue_full",
                retry_after_s=1,
            )
        gauge = self._gauge(variant)
        self._in_flight[variant] += 1
        if limited is not None:
            self._of_keys[limited] += 1
        gauge.inc()
        try:
            yield
        finally:
            self._in_flight[variant] -= 1
            if limited is not None:
                self._of_keys[limited] -= 1
            gauge.dec()

    def _gauge(self, variant: str) -> Gauge:
        gauge = self._gauges.get(variant)
        if gauge is None:
            gauge = self._gauges[variant] = self._metrics.in_flight.labels(variant)
        return gauge
