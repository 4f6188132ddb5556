"""A circuit breaker: a worker that fails every time is left alone for a while.

Closed, it counts failures in a row; open, it refuses; after the pause one request goes through as a probe,
and the first result decides: an answer closes it, a failure opens it anew. A probe without a result after
another pause (a long stream, a worker that hangs) lets the next one go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from server.supervisor.config import CircuitConfig


class Circuit:
    """The breaker of one worker; `report` is told whenever it opens or closes."""

    def __init__(
        self,
        config: CircuitConfig,
        report: Callable[[bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._report = report
        self._clock = clock
        self._failures = 0
        self._results = 0
        self._open_until: float | None = None
        report(False)

    @property
    def is_open(self) -> bool:
        """Whether it refuses everything but probes."""
        return self._open_until is not None

    @property
    def wait_s(self) -> float:
        """Seconds until a request may go through, 0 where one may now."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    @contextmanager
    def trying(self) -> Iterator[bool]:
        """Send the worker a request, where this gives True; `failed` or `answered` is told inside."""
        if self.wait_s > 0:
            yield False
            return
        if self._open_until is None:
            yield True
            return
        # For all others the pause begins again; a probe that shows nothing (the client's fault) gives way.
        self._open_until = self._clock() + self._config.open_s
        results = self._results
        try:
            yield True
        finally:
            if self._results == results:
                self._open_until = self._clock()

    def failed(self) -> None:
        """The worker failed, or did not answer in time."""
        self._failures += 1
        self._results += 1
        if self._open_until is not None or self._failures >= self._config.failures:
            self._open_until = self._clock() + self._config.open_s
            self._report(True)

    def answered(self) -> None:
        """The worker gave a whole answer, or is a new process."""
        self._failures = 0
        self._results += 1
        if self._open_until is not None:
            self._open_until = None
            self._report(False)
