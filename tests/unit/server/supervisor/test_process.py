"""A worker process and everything it started are gone after `stop`."""

from __future__ import annotations

import asyncio
import stat
import sys
import time
from pathlib import Path

import psutil
import pytest

from bitloom.errors import WorkerError
from server.supervisor.memory import TreeMemory
from server.supervisor.process import WorkerProcess, log_tail
from server.workers.command import WorkerCommand

SLEEP = "import time; time.sleep(60)"
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); {SLEEP}"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"
LEAVES_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print('left')"


def spawn(code: str, log: Path) -> WorkerProcess:
    return WorkerProcess.spawn(WorkerCommand((sys.executable, "-c", code), {"MARK": "1"}), log)


def in_group(group: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(process.pid)
    return found


async def until(condition: object, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_stop_ends_the_worker_and_its_children(tmp_path: Path) -> None:
    process = spawn(WITH_CHILD, tmp_path / "log")
    await until(lambda: len(in_group(process.pid)) == 2)
    memory = TreeMemory(process.pid)
    assert memory.resident_bytes() > 2_000_000
    await process.stop(grace_s=5)
    assert memory.resident_bytes() == 0
    assert process.exited.result() == -15
    await until(lambda: not in_group(process.pid))


async def test_a_deaf_worker_is_killed_after_the_grace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn(DEAF, log)
    await until(lambda: log.read_text() == "deaf\n")
    await process.stop(grace_s=0.1)
    assert process.exited.result() == -9


async def test_children_that_outlive_their_worker_are_killed(tmp_path: Path) -> None:
    process = spawn(LEAVES_CHILD, tmp_path / "log")
    assert await process.exited == 0
    assert len(in_group(process.pid)) == 1
    await process.stop(grace_s=1)
    await until(lambda: not in_group(process.pid))


async def test_output_goes_to_the_log_and_files_are_private(tmp_path: Path) -> None:
    code = f"import sys; open({str(tmp_path / 'new')!r}, 'w'); sys.exit('no model here')"
    process = spawn(code, tmp_path / "log")
    assert await process.exited == 1
    assert log_tail(tmp_path / "log") == "no model here"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


async def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="/no/such: cannot be started with its log in"):
        WorkerProcess.spawn(WorkerCommand(("/no/such",), {}), tmp_path / "log")


def test_the_tail_is_short(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {i}\n" for i in range(10_000)))
    assert log_tail(log).splitlines() == [f"line {i}" for i in range(9980, 10_000)]
    assert log_tail(tmp_path / "none") == "(no log)"


def test_memory_of_a_process_that_is_gone() -> None:
    assert TreeMemory(2**22 + 1).resident_bytes() == 0
