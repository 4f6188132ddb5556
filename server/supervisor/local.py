"""A worker that this server starts, watches and restarts."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path

from bitloom.errors import WorkerError
from server.config import Timeouts
from server.errors import WorkerLinkError
from server.metrics import Metrics
from server.supervisor.config import CircuitConfig
from server.supervisor.memory import TreeMemory
from server.supervisor.process import WorkerProcess, log_tail
from server.supervisor.state import State
from server.supervisor.worker import HEALTH_MISSES, Worker
from server.variants import Variant
from server.workers.command import WorkerCommand

logger = logging.getLogger(__name__)

START_POLL_S = 0.1


class LocalWorker(Worker):
    """A process on a private Unix socket. It is lost when it ends or stops answering /health."""

    def __init__(
        self,
        variant: Variant,
        command: WorkerCommand,
        socket: Path,
        log_path: Path,
        timeouts: Timeouts,
        circuit: CircuitConfig,
        metrics: Metrics,
    ) -> None:
        super().__init__(variant, f"unix:{socket}", timeouts, circuit, metrics)
        self._command = command
        self._socket = socket
        self._log_path = log_path
        self._process: WorkerProcess | None = None
        self._memory: TreeMemory | None = None

    @property
    def socket(self) -> Path:
        """Where the worker listens."""
        return self._socket

    async def start(self) -> None:
        """Start the process and wait until it is healthy.

        Raises WorkerError with the end of its log where it ends or stays silent; it is gone then.
        """
        self._set(State.STARTING)
        await self._launch()

    async def keep(self) -> None:
        """Restart the worker whenever it is lost, waiting twice as long after each failed start."""
        while True:
            ready_at = time.monotonic()
            reason = await self._lost()
            self._set(State.RESTARTING)
            logger.error("variant %s: worker lost (%s); restarting", self.variant.name, reason)
            await self._end_process()
            has_lasted = time.monotonic() - ready_at > self._timeouts.backoff_max_s
            await self._restart(0.0 if has_lasted else self._timeouts.backoff_first_s)

    async def take_weights(self, variant: Variant, command: WorkerCommand) -> None:
        """Give the running engine the weights of another directory of the same layout.

        Requests wait at the gate meanwhile, so none sees two models. Raises WorkerError where those that
        run do not end within `drain_s` (nothing has changed then), or where the engine fails: it is
        killed, since its weights may be a mixture, and comes back with those it had.
        """
        self._set(State.SWAPPING)
        self.gate.close()
        try:
            if not await self.gate.drained(self._timeouts.drain_s):
                raise WorkerError(
                    f"variant {self.variant.name}: requests ran for more than {self._timeouts.drain_s:g} s, "
                    "so its weights were not exchanged; try again, or raise timeouts.drain_s"
                )
            await self._exchange(variant)
            self._hide_info()
            self.variant, self._command = variant, command
            self._show_info()
        finally:
            if self.state is State.SWAPPING:
                self._set(State.READY)
            self.gate.open()

    async def _exchange(self, variant: Variant) -> None:
        try:
            await self.client.exchange_weights(str(variant.directory), self._timeouts.start_s)
        except (WorkerLinkError, TimeoutError) as exc:
            self._set(State.RESTARTING)
            if self._process is not None:
                await self._process.stop(0)
            raise WorkerError(
                f"variant {self.variant.name}: its engine did not take the new weights ({exc!r}) and is "
                f"started again with the old; {self._log_path} has the reason"
            ) from exc

    def resident_bytes(self) -> int | None:
        """Resident memory of the worker's process tree, 0 while there is none."""
        if (process := self._process) is None:
            return 0
        if (memory := self._memory) is None or memory.pid != process.pid:
            memory = self._memory = TreeMemory(process.pid)
        return memory.resident_bytes()

    async def stop(self) -> None:
        """End the process and everything it started, then close the connection."""
        await self._end_process()
        await super().stop()

    async def _restart(self, delay_s: float) -> None:
        while True:
            await asyncio.sleep(delay_s)
            self._metrics.worker_restarts.labels(self.variant.name).inc()
            try:
                await self._launch()
            except WorkerError as exc:
                doubled = max(self._timeouts.backoff_first_s, 2 * delay_s)
                delay_s = min(self._timeouts.backoff_max_s, doubled)
                logger.error("%s; next start in %.0f s", exc, delay_s)
            else:
                return

    async def _launch(self) -> None:
        started = time.monotonic()
        self._socket.unlink(missing_ok=True)
        self._process = WorkerProcess.spawn(self._command, self._log_path)
        try:
            async with asyncio.timeout(self._timeouts.start_s):
                await self._healthy(self._process)
        except TimeoutError as exc:
            raise await self._failed(f"did not answer within {self._timeouts.start_s:.0f} s") from exc
        if self._process.exited.done():
            raise await self._failed(f"ended with code {self._process.exited.result()}")
        # Engines may set a mode of their own on the socket, whatever the umask.
        with suppress(FileNotFoundError):
            self._socket.chmod(0o600)
        await self._read_memory()
        self._loaded(started)

    async def _healthy(self, process: WorkerProcess) -> None:
        """Return when the worker answers or has ended."""
        while not process.exited.done():
            if await self.client.is_healthy(self._timeouts.health_s):
                return
            await asyncio.wait({process.exited}, timeout=START_POLL_S)

    async def _failed(self, what: str) -> WorkerError:
        await self._end_process()
        return WorkerError(
            f"variant {self.variant.name}: its worker {what} before it was ready; "
            f"the end of {self._log_path}:\n{log_tail(self._log_path)}"
        )

    async def _lost(self) -> str:
        """Return why the worker is lost, when it is."""
        process = self._process
        if process is None:
            return "it was never started"
        misses = 0
        while misses < HEALTH_MISSES:
            await asyncio.wait({process.exited}, timeout=self._timeouts.health_interval_s)
            if process.exited.done():
                return f"ended with code {process.exited.result()}"
            misses = 0 if await self.client.is_healthy(self._timeouts.health_s) else misses + 1
        return f"{misses} health checks without an answer"

    async def _end_process(self) -> None:
        if self._process is not None:
            await self._process.stop(self._timeouts.stop_s)
            self._process = None
