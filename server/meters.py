"""The metrics of one variant under one route, looked up once: finding labels takes longer than counting."""

from __future__ import annotations

from prometheus_client import Counter

from server.metrics import Metrics, finish_label


class Meters:
    """What is counted of the requests for a variant under a route."""

    def __init__(self, metrics: Metrics, route: str, variant: str) -> None:
        pair = (route, variant)
        self._requests = metrics.requests
        self._pair = pair
        self._by_end: dict[tuple[int, str | None], Counter] = {}
        self.overhead = metrics.gateway_overhead.labels(*pair)
        self.first_token = metrics.time_to_first_token.labels(*pair)
        self.gaps = metrics.inter_token_latency.labels(*pair)
        self.per_token = metrics.time_per_output_token.labels(*pair)
        self.latency = metrics.request_latency.labels(*pair)
        self.prompt_tokens = metrics.prompt_tokens.labels(variant)
        self.image_tokens = metrics.image_tokens.labels(variant)
        self.generated_tokens = metrics.generated_tokens.labels(variant)
        self.empty_outputs = metrics.empty_outputs.labels(variant)
        self.stream_errors = metrics.stream_errors.labels(variant)
        self.aborted = metrics.aborted.labels(variant)

    def ended(self, code: int, finish_reason: str | None) -> Counter:
        """Counter of the requests that ended so."""
        end = (code, finish_label(finish_reason))
        counter = self._by_end.get(end)
        if counter is None:
            counter = self._by_end[end] = self._requests.labels(*self._pair, str(code), end[1])
        return counter


class MeterBoard:
    """Meters of every pair that was asked for. There are no more than routes times arms."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._meters: dict[tuple[str, str], Meters] = {}

    def of(self, route: str, variant: str) -> Meters:
        """The meters of a variant under a route."""
        meters = self._meters.get((route, variant))
        if meters is None:
            meters = self._meters[route, variant] = Meters(self._metrics, route, variant)
        return meters
