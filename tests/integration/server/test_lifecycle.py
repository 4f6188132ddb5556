"""A variant that becomes an arm is served with its arms' cache, from a new worker beside the old one."""

from __future__ import annotations

import pytest

from bitloom.errors import WorkerError
from server.metrics import Metrics
from server.supervisor.lifecycle import Lifecycle
from server.supervisor.state import State
from server.supervisor.worker import Worker
from tests.integration.server.test_supervision import STUB, supervised


async def test_a_cache_is_renewed_by_a_second_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervised("a", STUB) as supervisor:
        await supervisor.start()
        lifecycle = Lifecycle(supervisor._config, supervisor, Metrics())
        old = supervisor.workers["a"]
        await lifecycle.renew("a", 4096)
        new = supervisor.workers["a"]
        assert (old.state, new.state) == (State.STOPPED, State.READY)
        assert supervisor.caches["a"] == 4096

        async def fail(_: Worker) -> None:
            raise WorkerError("it does not start")

        monkeypatch.setattr(supervisor, "begin", fail)
        with pytest.raises(WorkerError):
            await lifecycle.renew("a", 8192)
        assert supervisor.workers["a"] is new
        assert (new.state, supervisor.caches["a"]) == (State.READY, 4096)
        monkeypatch.undo()
        await lifecycle.unload("a")
        await lifecycle.renew("a", 8192)
        assert (new.state, supervisor.caches["a"]) == (State.UNLOADED, 8192)
