"""All workers of a server: started in order, kept alive, stopped together."""

from __future__ import annotations

import asyncio
import itertools
import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from server.config import ServerConfig
from server.metrics import Metrics
from server.supervisor.local import LocalWorker
from server.supervisor.placement import cache_plan, options_with, place_all, pools_of
from server.supervisor.remote import RemoteWorker
from server.supervisor.state import State
from server.supervisor.worker import Worker
from server.variants import Variant
from server.workers.command import PARENT_ENV, WorkerCommand, worker_command

logger = logging.getLogger(__name__)


class Supervisor:
    """Owns the workers, their tasks and the private directory of their sockets (0700).

    Must be built in the event loop that will run it, and closed there.
    """

    def __init__(self, config: ServerConfig, variants: tuple[Variant, ...], metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self._directory = Path(tempfile.mkdtemp(prefix="bitloom-"))
        self._log_directory = config.log_dir or self._directory
        self._numbers = itertools.count()
        self._built: set[Worker] = set()
        self._keepers: dict[Worker, asyncio.Task[None]] = {}
        self.caches = cache_plan(config, variants)
        self.places = place_all(config, variants)
        self._workers = {variant.name: self.build(variant) for variant in variants}
        metrics.memory_budget.set(sum(pool.memory_bytes for pool in pools_of(config.placement)))

    @property
    def workers(self) -> Mapping[str, Worker]:
        """Worker of each variant, by the variant's name; follows what is loaded and replaced."""
        return MappingProxyType(self._workers)

    @property
    def is_ready(self) -> bool:
        """Whether every variant can answer that nobody has taken out of service."""
        expected = (State.READY, State.SWAPPING, State.DRAINING, State.UNLOADED)
        return all(worker.state in expected for worker in self._workers.values())

    async def start(self) -> None:
        """Start the workers one after another: each loads alone, so that memory peaks do not add up.

        Raises WorkerError at the first that does not come up; `stop` must be called in any case.
        """
        for worker in [*self._workers.values()]:
            await self.begin(worker)

    async def begin(self, worker: Worker) -> None:
        """Start one worker and keep it; raises WorkerError where it does not come up."""
        await worker.start()
        keeper = asyncio.create_task(worker.keep(), name=f"keeper of {worker.variant.name}")
        keeper.add_done_callback(_report)
        self._keepers[worker] = keeper

    def install(self, worker: Worker) -> None:
        """Have a worker answer for its variant from the next request on."""
        self._workers[worker.variant.name] = worker

    def forget(self, name: str) -> None:
        """Know a variant no more."""
        del self._workers[name]
        self.places.pop(name, None)
        self.caches.pop(name, None)

    async def end(self, worker: Worker) -> None:
        """Stop one worker for good."""
        keeper = self._keepers.pop(worker, None)
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})
        await worker.stop()
        self._built.discard(worker)

    async def stop(self) -> None:
        """Stop all workers at once and remove the private directory; may be called twice."""
        await asyncio.gather(*(self.end(worker) for worker in [*self._built]))
        shutil.rmtree(self._directory, ignore_errors=True)

    async def measure_memory(self) -> None:
        """Update `memory_used_bytes`; reads /proc off the event loop."""
        for name, worker in [*self._workers.items()]:
            resident = await asyncio.to_thread(worker.resident_bytes)
            if resident is not None:
                self._metrics.memory_used.labels(name).set(resident)

    def build(self, variant: Variant) -> Worker:
        """A worker for a variant, not started."""
        timeouts, circuit = self._config.timeouts, self._config.circuit
        self._metrics.evictions.labels(variant.name).inc(0)
        worker: Worker
        if variant.url is not None:
            worker = RemoteWorker(variant, variant.url, timeouts, circuit, self._metrics)
        else:
            # Numbered, not named: a variant's name may be too long for a socket path.
            socket = self._directory / f"{next(self._numbers)}.sock"
            log_path = self._log_directory / f"{variant.name}.log"
            command = self.command(variant, socket)
            worker = LocalWorker(variant, command, socket, log_path, timeouts, circuit, self._metrics)
        self._built.add(worker)
        return worker

    def command(self, variant: Variant, socket: Path) -> WorkerCommand:
        """How a local variant's worker is started: on its GPU, with its cache."""
        assert variant.directory is not None
        assert variant.engine is not None
        options = options_with(self._config.worker, self.caches.get(variant.name))
        command = worker_command(variant.engine, variant.directory, variant.name, socket, options)
        place = self.places.get(variant.name)
        if place is not None and place.pool.gpu is not None:
            command = replace(command, env={**command.env, "CUDA_VISIBLE_DEVICES": str(place.pool.gpu)})
        if self._config.command is None:
            return command
        values = {"directory": str(variant.directory), "name": variant.name, "socket": str(socket)}
        argv = tuple(word.format_map(values) for word in self._config.command)
        return WorkerCommand(argv, {PARENT_ENV: command.env[PARENT_ENV]})


def _report(keeper: asyncio.Task[None]) -> None:
    if not keeper.cancelled() and (fault := keeper.exception()) is not None:
        logger.critical("%s failed; the variant is not watched any more", keeper.get_name(), exc_info=fault)
