"""What the gateway knows of a variant's worker, wherever it runs: its state and its connection."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from bitloom.memory import LoadedMemory, parse_worker
from server.config import Timeouts
from server.metrics import Metrics
from server.supervisor import loaded
from server.supervisor.circuit import Circuit
from server.supervisor.config import CircuitConfig
from server.supervisor.gate import Gate
from server.supervisor.state import State
from server.upstream import WorkerClient
from server.variants import Variant

logger = logging.getLogger(__name__)

HEALTH_MISSES = 3
METRICS_TIMEOUT_S = 10.0


class Worker(ABC):
    """One variant's worker. `start` brings it up once, `keep` runs until `stop`."""

    def __init__(
        self, variant: Variant, url: str, timeouts: Timeouts, circuit: CircuitConfig, metrics: Metrics
    ) -> None:
        self.variant = variant
        self.client = WorkerClient(url, timeouts.connect_s)
        self.gate = Gate(variant.name, metrics)
        self.circuit = Circuit(circuit, self._report_circuit(metrics))
        self._timeouts = timeouts
        self._metrics = metrics
        self._load_s = 0.0
        self._is_shown = True
        self._loaded_memory: LoadedMemory | None = None
        self._state = State.WAITING
        self._set(State.WAITING)
        self._show_info()
        metrics.worker_restarts.labels(variant.name).inc(0)

    @property
    def state(self) -> State:
        """The state now."""
        return self._state

    @property
    def is_answering(self) -> bool:
        """Whether a request may be sent: now, or as soon as its gate opens."""
        return self._state in (State.READY, State.SWAPPING) and self.circuit.wait_s == 0

    @property
    def retry_after_s(self) -> int:
        """Seconds after which asking again is worth it: the circuit's pause, or what the last start took."""
        return max(1, min(60, math.ceil(self.circuit.wait_s or self._load_s)))

    def succeed(self, old: Worker) -> None:
        """Stand for the variant in the metrics, in place of `old`."""
        old._is_shown = False
        old._hide_info()
        self._is_shown = True
        self._show_info()
        self._set(self._state)

    def stand_by(self) -> None:
        """Leave the metrics of the variant to the worker that serves it, until `succeed`."""
        self._is_shown = False

    def drain(self) -> None:
        """Refuse new requests; `resume` takes it back."""
        self._set(State.DRAINING)

    def resume(self) -> None:
        """Take requests again."""
        self.gate.open()
        self._set(State.READY)

    def unloaded(self) -> None:
        """Say that it is stopped until somebody loads it."""
        self._set(State.UNLOADED)

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
        for each in State if self._is_shown else ():
            self._metrics.variant_state.labels(self.variant.name, each.value).set(each is state)

    async def _read_memory(self) -> None:
        """Ask the worker what its model takes; some do not say so."""
        self._loaded_memory = parse_worker(await self.client.metrics(METRICS_TIMEOUT_S))
        self._show_memory()

    def _loaded(self, started: float) -> None:
        self._load_s = time.monotonic() - started
        self._metrics.variant_load.labels(self.variant.name).set(self._load_s)
        self.circuit.answered()
        self._set(State.READY)

    def _show_info(self) -> None:
        self._metrics.variant_info.labels(*self._info()).set(1)
        self._show_memory()

    def _hide_info(self) -> None:
        self._metrics.variant_info.remove(*self._info())
        loaded.hide(self._metrics, self.variant.name)

    def _show_memory(self) -> None:
        if self._loaded_memory is not None and self._is_shown:
            loaded.show(self._metrics, self.variant.name, self._loaded_memory, self.variant.predicted)

    def _info(self) -> tuple[str, str, str, str]:
        bpw = "" if self.variant.bpw is None else f"{self.variant.bpw:.4f}"
        return self.variant.name, self.variant.plan, self.variant.weights_sha256, bpw

    def _report_circuit(self, metrics: Metrics) -> Callable[[bool], None]:
        gauge = metrics.circuit_open.labels(self.variant.name)

        def report(is_open: bool) -> None:
            gauge.set(is_open)
            if is_open:
                logger.error("variant %s: it keeps failing and is left alone for a while", self.variant.name)

        return report
