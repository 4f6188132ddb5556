"""A circuit breaker: a worker that fails every time is left alone for a while.

Closed, it counts failures in a row; open, it refuses; after the pause requests go through again, and the
first result decides: an answer closes it, a failure opens it anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable

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
        self._open_until: float | None = None
        report(False)

    @property
    def wait_s(self) -> float:
        """Seconds until requests may go through, 0 where they may now."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    def failed(self) -> None:
        """The worker failed, or did not answer in time."""
        self._failures += 1
        if self._open_until is not None or self._failures >= self._config.failures:
            self._open_until = self._clock() + self._config.open_s
            self._report(True)

    def answered(self) -> None:
        """The worker gave a whole answer, or is a new process."""
        self._failures = 0
        if self._open_until is not None:
            self._open_until = None
            self._report(False)
