"""What the gateway knows of a variant's worker, wherever it runs: its state and its connection."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod

from server.config import Timeouts
from server.metrics import Metrics
from server.supervisor.state import State
from server.upstream import WorkerClient
from server.variants import Variant

logger = logging.getLogger(__name__)

HEALTH_MISSES = 3


class Worker(ABC):
    """One variant's worker. `start` brings it up once, `keep` runs until `stop`."""

    def __init__(self, variant: Variant, url: str, timeouts: Timeouts, metrics: Metrics) -> None:
        self.variant = variant
        self.client = WorkerClient(url, timeouts.connect_s)
        self._timeouts = timeouts
        self._metrics = metrics
        self._load_s = 0.0
        self._state = State.WAITING
        self._set(State.WAITING)
        bpw = "" if variant.bpw is None else f"{variant.bpw:.4f}"
        metrics.variant_info.labels(variant.name, variant.plan, variant.weights_sha256, bpw).set(1)
        metrics.worker_restarts.labels(variant.name).inc(0)

    @property
    def state(self) -> State:
        """The state now."""
        return self._state

    @property
    def retry_after_s(self) -> int:
        """Seconds after which asking again is worth it, from how long the last start took."""
        return max(1, min(60, math.ceil(self._load_s)))

    @abstractmethod
    async def start(self) -> None:
        """Bring the worker up; raise WorkerError where it does not answer."""

    @abstractmethod
    async def keep(self) -> None:
        """Watch the worker and bring it back whenever it is lost; runs until cancelled."""

    @abstractmethod
    def resident_bytes(self) -> int | None:
        """Resident memory of the worker, None where it runs on another machine."""

    async def stop(self) -> None:
        """Close the connection; a local worker also ends."""
        await self.client.close()
        self._set(State.STOPPED)

    def _set(self, state: State) -> None:
        if state is not self._state:
            logger.info("variant %s: %s -> %s", self.variant.name, self._state, state)
        self._state = state
        for each in State:
            self._metrics.variant_state.labels(self.variant.name, each.value).set(each is state)

    def _loaded(self, started: float) -> None:
        self._load_s = time.monotonic() - started
        self._metrics.variant_load.labels(self.variant.name).set(self._load_s)
        self._set(State.READY)
