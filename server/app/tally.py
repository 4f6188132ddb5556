"""Count and log one request: what it waited for, how it ended. Times are `time.perf_counter()` seconds."""

from __future__ import annotations

import logging
import time

from server.experiments.assignment import Assignment
from server.metrics import Metrics, finish_label

logger = logging.getLogger(__name__)

ABORTED_CODE = 499


class Tally:
    """Metrics and log line of one request; exactly one of `complete`, `failed`, `aborted` ends it."""

    def __init__(self, metrics: Metrics, assignment: Assignment, request_id: str, arrived: float) -> None:
        self._metrics = metrics
        self._request_id = request_id
        self._labels = (assignment.route, assignment.variant)
        self._variant = assignment.variant
        self._arrived = arrived
        self._first_content: float | None = None
        self._last_content = 0.0
        self._gaps = metrics.inter_token_latency.labels(*self._labels)

    def asked(self, ready: float) -> None:
        """The worker is about to be asked; `ready` is when the body had been read."""
        overhead = time.perf_counter() - ready
        self._metrics.gateway_overhead.labels(*self._labels).observe(overhead)

    def content(self) -> None:
        """A chunk with content passed."""
        now = time.perf_counter()
        if self._first_content is None:
            self._first_content = now
            self._metrics.time_to_first_token.labels(*self._labels).observe(now - self._arrived)
        else:
            self._gaps.observe(now - self._last_content)
        self._last_content = now

    def usage(self, prompt_tokens: int | None, generated_tokens: int | None) -> None:
        """Token counts that the answer reported, None where it did not."""
        if prompt_tokens is None or generated_tokens is None:
            return
        self._metrics.prompt_tokens.labels(self._variant).inc(prompt_tokens)
        self._metrics.generated_tokens.labels(self._variant).inc(generated_tokens)
        if self._first_content is not None and generated_tokens > 1:
            per_token = (self._last_content - self._first_content) / (generated_tokens - 1)
            self._metrics.time_per_output_token.labels(*self._labels).observe(per_token)

    def complete(self, finish_reason: str | None, *, is_empty: bool) -> None:
        """The whole answer passed."""
        if is_empty:
            self._metrics.empty_outputs.labels(self._variant).inc()
        self._end(200, finish_reason)

    def failed(self, code: int, *, is_begun: bool) -> None:
        """The request ended in an error; `is_begun` where the client had part of a stream by then."""
        if is_begun:
            self._metrics.stream_errors.labels(self._variant).inc()
        self._end(code, None)

    def aborted(self) -> None:
        """The client went away."""
        self._metrics.aborted.labels(self._variant).inc()
        self._end(ABORTED_CODE, None)

    def _end(self, code: int, finish_reason: str | None) -> None:
        seconds = time.perf_counter() - self._arrived
        finish = finish_label(finish_reason)
        self._metrics.requests.labels(*self._labels, str(code), finish).inc()
        self._metrics.request_latency.labels(*self._labels).observe(seconds)
        logger.info(
            "request %s route %s variant %s: %d %s in %.3f s",
            self._request_id,
            *self._labels,
            code,
            finish,
            seconds,
        )
