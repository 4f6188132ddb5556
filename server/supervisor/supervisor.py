"""All workers of a server: started in order, kept alive, stopped together."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from server.config import ServerConfig
from server.metrics import Metrics
from server.supervisor.local import LocalWorker
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
        self._workers = {variant.name: self._build(variant, index) for index, variant in enumerate(variants)}
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def workers(self) -> Mapping[str, Worker]:
        """Worker of each variant, by the variant's name."""
        return MappingProxyType(self._workers)

    @property
    def is_ready(self) -> bool:
        """Whether every variant can answer."""
        return all(worker.state is State.READY for worker in self._workers.values())

    async def start(self) -> None:
        """Start the workers one after another: each loads alone, so that memory peaks do not add up.

        Raises WorkerError at the first that does not come up; `stop` must be called in any case.
        """
        for worker in self._workers.values():
            await worker.start()
            keeper = asyncio.create_task(worker.keep(), name=f"keeper of {worker.variant.name}")
            keeper.add_done_callback(_report)
            self._keepers.append(keeper)

    async def stop(self) -> None:
        """Stop all workers at once and remove the private directory; may be called twice."""
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers.values()))
        shutil.rmtree(self._directory, ignore_errors=True)

    async def measure_memory(self) -> None:
        """Update `memory_used_bytes`; reads /proc off the event loop."""
        for name, worker in self._workers.items():
            resident = await asyncio.to_thread(worker.resident_bytes)
            if resident is not None:
                self._metrics.memory_used.labels(name).set(resident)

    def _build(self, variant: Variant, index: int) -> Worker:
        if variant.url is not None:
            return RemoteWorker(variant, variant.url, self._config.timeouts, self._metrics)
        # Numbered, not named: a variant's name may be too long for a socket path.
        socket = self._directory / f"{index}.sock"
        log_path = self._log_directory / f"{variant.name}.log"
        command = self._command(variant, socket)
        return LocalWorker(variant, command, socket, log_path, self._config.timeouts, self._metrics)

    def _command(self, variant: Variant, socket: Path) -> WorkerCommand:
        assert variant.directory is not None
        assert variant.engine is not None
        command = worker_command(variant.engine, variant.directory, variant.name, socket, self._config.worker)
        if self._config.command is None:
            return command
        values = {"directory": str(variant.directory), "name": variant.name, "socket": str(socket)}
        argv = tuple(word.format_map(values) for word in self._config.command)
        return WorkerCommand(argv, {PARENT_ENV: command.env[PARENT_ENV]})


def _report(keeper: asyncio.Task[None]) -> None:
    if not keeper.cancelled() and (fault := keeper.exception()) is not None:
        logger.critical("%s failed; the variant is not watched any more", keeper.get_name(), exc_info=fault)
