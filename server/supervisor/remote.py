"""A worker that runs elsewhere: reached by its URL, watched, never started or stopped."""

from __future__ import annotations

import asyncio
import time

from server.supervisor.state import State
from server.supervisor.worker import HEALTH_MISSES, Worker


class RemoteWorker(Worker):
    """A server that somebody else runs; while it is silent its requests get 503."""

    async def start(self) -> None:
        """Look once whether it answers; it may come up later."""
        self._set(State.STARTING)
        await self._look(time.monotonic())

    async def keep(self) -> None:
        """Follow its health: ready after one answer, restarting after several without."""
        misses = 0
        while True:
            await asyncio.sleep(self._timeouts.health_interval_s)
            misses = 0 if await self._look(time.monotonic()) else misses + 1
            if misses >= HEALTH_MISSES and self.state is State.READY:
                self._set(State.RESTARTING)

    def resident_bytes(self) -> int | None:
        """None: its memory is another machine's."""
        return None

    async def _look(self, started: float) -> bool:
        is_healthy = await self.client.is_healthy(self._timeouts.health_s)
        if is_healthy and self.state in (State.STARTING, State.RESTARTING):
            await self._read_memory()
            self._loaded(started)
        return is_healthy
