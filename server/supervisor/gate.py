"""A gate in front of one worker: closed, it holds requests back while the worker's weights change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Histogram

from server.metrics import Metrics


class Gate:
    """Counts the requests behind it, so that one can wait until the last has left."""

    def __init__(self, variant: str, metrics: Metrics) -> None:
        self._queued = metrics.queued.labels(variant)
        self._queued.inc(0)
        self._waits = metrics.queue_wait
        self._waits_of: dict[str, Histogram] = {}
        self._variant = variant
        self._opened = asyncio.Event()
        self._opened.set()
        self._left = asyncio.Event()
        self._left.set()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self.inside = 0
        self.outstanding = 0
        self.last_used = time.monotonic()

    def close(self) -> None:
        """Hold back who comes from now on."""
        self._opened.clear()

    def open(self) -> None:
        """Let those who wait through."""
        self._opened.set()

    async def drained(self, timeout_s: float) -> bool:
        """Whether the last request inside left in time."""
        try:
            await asyncio.wait_for(self._left.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def emptied(self, timeout_s: float) -> bool:
        """Whether the last request that is outstanding, at the gate or on its way there, ended in time."""
        try:
            await asyncio.wait_for(self._emptied.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Be outstanding, from the choice of the worker to the answer's end."""
        self.outstanding += 1
        self._emptied.clear()
        try:
            yield
        finally:
            self.last_used = time.monotonic()
            self.outstanding -= 1
            if self.outstanding == 0:
                self._emptied.set()

    def passing(self, route: str, timeout_s: float | None = None) -> _Passage:
        """Wait until the gate is open and be counted inside; raises TimeoutError where it stays closed."""
        return _Passage(self, route, timeout_s)

    async def wait(self, route: str, timeout_s: float | None) -> None:
        """Wait until the gate is open."""
        if self._opened.is_set():
            self._wait_of(route).observe(0.0)
            return
        started = time.perf_counter()
        async with asyncio.timeout(timeout_s):
            with self._queued.track_inprogress():
                # Once more after each wake-up: it may be closed again before this task runs.
                while not self._opened.is_set():
                    await self._opened.wait()
        self._wait_of(route).observe(time.perf_counter() - started)

    def enter(self) -> None:
        """Be inside."""
        self.inside += 1
        self._left.clear()

    def leave(self) -> None:
        """Be outside again."""
        self.inside -= 1
        if self.inside == 0:
            self._left.set()

    def _wait_of(self, route: str) -> Histogram:
        wait = self._waits_of.get(route)
        if wait is None:
            wait = self._waits_of[route] = self._waits.labels(route, self._variant)
        return wait


class _Passage:
    """A way through a gate. Not a generator: every request takes one."""

    def __init__(self, gate: Gate, route: str, timeout_s: float | None) -> None:
        self._gate = gate
        self._route = route
        self._timeout_s = timeout_s

    async def __aenter__(self) -> None:
        await self._gate.wait(self._route, self._timeout_s)
        self._gate.enter()

    async def __aexit__(self, *_: object) -> None:
        self._gate.leave()
