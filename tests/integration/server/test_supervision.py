"""Worker processes under a real supervisor: stub engines, started, lost, brought back, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from bitloom.errors import WorkerError
from bitloom.memory import LoadedMemory, parse_gateway
from bitloom.plan import Component
from server.config import ServerConfig
from server.metrics import Metrics
from server.stub_engine import STUB_BYTES
from server.supervisor.local import LocalWorker
from server.supervisor.state import State
from server.supervisor.supervisor import Supervisor
from server.variants import Variant

STUB = [sys.executable, "-m", "server.stub_engine", "--socket", "{socket}", "--name", "{name}"]
QUICK = {"health_interval_s": 0.05, "backoff_first_s": 0.05, "backoff_max_s": 0.2, "stop_s": 5}


@asynccontextmanager
async def supervised(names: str, command: list[str], **timeouts: float) -> AsyncIterator[Supervisor]:
    predicted: dict[Component, int] = {"language": 7}
    variants = tuple(
        Variant(name, "transformers", Path("/"), None, "p", "", None, predicted) for name in names
    )
    config = ServerConfig.model_validate(
        {
            "variants": [{"name": name, "directory": "/"} for name in names],
            "command": command,
            "timeouts": {**QUICK, **timeouts},
        }
    )
    supervisor = Supervisor(config, variants, Metrics())
    try:
        yield supervisor
    finally:
        await supervisor.stop()


def pid_of(worker: Any) -> int:
    assert isinstance(worker, LocalWorker)
    assert worker._process is not None
    return worker._process.pid


async def until(worker: Any, state: State) -> None:
    async with asyncio.timeout(60):
        while worker.state is not state:
            await asyncio.sleep(0.01)
            continue


def restarts(supervisor: Supervisor, name: str) -> float | None:
    registry = supervisor._metrics.registry
    return registry.get_sample_value("bitloom_worker_restarts_total", {"variant": name})


async def test_workers_start_in_order_on_private_sockets() -> None:
    async with supervised("ab", STUB) as supervisor:
        assert not supervisor.is_ready
        await supervisor.start()
        assert supervisor.is_ready
        processes = [psutil.Process(pid_of(worker)) for worker in supervisor.workers.values()]
        assert processes[0].create_time() < processes[1].create_time()
        sockets = sorted(supervisor._directory.glob("*.sock"))
        assert len(sockets) == 2
        assert stat.S_IMODE(supervisor._directory.stat().st_mode) == 0o700
        assert [stat.S_IMODE(path.stat().st_mode) for path in sockets] == [0o600, 0o600]
        await supervisor.measure_memory()
        used = supervisor._metrics.registry.get_sample_value("bitloom_memory_used_bytes", {"variant": "a"})
        assert used is not None
        assert used > 10_000_000
    assert not any(process.is_running() for process in processes)
    assert not supervisor._directory.exists()


async def test_a_killed_worker_comes_back_and_the_others_stay() -> None:
    async with supervised("ab", STUB) as supervisor:
        await supervisor.start()
        a, b = supervisor.workers.values()
        first, other = pid_of(a), pid_of(b)
        os.kill(first, signal.SIGKILL)
        await until(a, State.RESTARTING)
        assert b.state is State.READY
        await until(a, State.READY)
        assert pid_of(a) != first
        assert pid_of(b) == other
        assert (restarts(supervisor, "a"), restarts(supervisor, "b")) == (1, 0)
        assert await a.client.is_healthy(5)


async def test_a_silent_worker_is_replaced() -> None:
    async with supervised("a", STUB, health_s=0.2) as supervisor:
        await supervisor.start()
        worker = supervisor.workers["a"]
        first = pid_of(worker)
        os.kill(first, signal.SIGSTOP)
        await until(worker, State.RESTARTING)
        await until(worker, State.READY)
        assert not psutil.pid_exists(first)


async def test_a_start_that_fails_quotes_the_log_and_leaves_nothing() -> None:
    async with supervised("a", [*STUB, "--fail-start"]) as supervisor:
        with pytest.raises(WorkerError, match=r"(?s)variant a.*code 1.*told not to start"):
            await supervisor.start()
        assert supervisor.workers["a"].state is not State.READY


async def test_a_worker_that_never_answers_is_given_up() -> None:
    silent = [sys.executable, "-c", "import time; time.sleep(60)"]
    async with supervised("a", silent, start_s=0.3) as supervisor:
        with pytest.raises(WorkerError, match="did not answer within"):
            await supervisor.start()


async def test_failed_restarts_back_off(tmp_path: Path) -> None:
    """The second start and later ones fail until a file appears."""
    gate = tmp_path / "gate"
    gate.touch()
    code = "import os, runpy, sys; os.path.exists(sys.argv.pop(1)) or sys.exit('gate'); " + (
        "runpy.run_module('server.stub_engine', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, str(gate), *STUB[3:]]
    async with supervised("a", command) as supervisor:
        await supervisor.start()
        gate.unlink()
        worker = supervisor.workers["a"]
        os.kill(pid_of(worker), signal.SIGKILL)
        async with asyncio.timeout(60):
            while (restarts(supervisor, "a") or 0) < 3:
                await asyncio.sleep(0.02)
                continue
        assert worker.state is State.RESTARTING
        gate.touch()
        await until(worker, State.READY)


async def test_stop_during_a_start_leaves_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    async with supervised("a", [sys.executable, "-c", code]) as supervisor:
        starting = asyncio.create_task(supervisor.start())
        async with asyncio.timeout(30):
            while not mark.exists() or not mark.read_text():
                await asyncio.sleep(0.02)
                continue
        starting.cancel()
        await asyncio.wait({starting})
    assert not psutil.pid_exists(json.loads(mark.read_text()))


async def test_what_a_worker_says_of_its_memory_stands_beside_the_prediction() -> None:
    async with supervised("ab", STUB) as supervisor:
        await supervisor.start()
        page = supervisor._metrics.render().decode()
        for name in "ab":
            assert parse_gateway(page, name) == LoadedMemory(STUB_BYTES, 3000, None, {"language": 7})
        supervisor.workers["a"]._hide_info()
        page = supervisor._metrics.render().decode()
        assert parse_gateway(page, "a") is None
        assert parse_gateway(page, "b") is not None
