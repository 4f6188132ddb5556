"""Workers and their forked children end when the process that started them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from server.workers.command import PARENT_ENV

DEADLINE_S = 30.0
WORKER = """
import os, sys, time
from server.workers.lifetime import die_with_gateway
die_with_gateway()
child = os.fork()
if child:
    print(os.getpid(), child, flush=True)
time.sleep(600)
"""
GATEWAY = """
import os, subprocess, sys, time
env = {**os.environ, sys.argv[2]: str(os.getpid())}
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=env)
time.sleep(600)
"""
ROOT = Path(__file__).parents[4]


@pytest.fixture
def family() -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process, psutil.Process]]:
    """A gateway, the worker it started, and that worker's forked child."""
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, WORKER, PARENT_ENV], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert gateway.stdout is not None
    worker, child = (psutil.Process(int(pid)) for pid in gateway.stdout.readline().split())
    yield gateway, worker, child
    for process in (worker, child):
        if process.is_running():
            process.kill()
    gateway.kill()
    gateway.wait()
    gateway.stdout.close()


def has_ended(process: psutil.Process) -> bool:
    """Whether it ended within the deadline; a zombie that nobody reaps yet has ended."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


Family = tuple[subprocess.Popen[bytes], psutil.Process, psutil.Process]


def test_all_end_when_the_gateway_is_killed(family: Family) -> None:
    gateway, worker, child = family
    assert worker.is_running()
    assert child.is_running()
    gateway.kill()
    assert has_ended(worker)
    assert has_ended(child)


def test_the_forked_child_ends_with_the_worker_alone(family: Family) -> None:
    gateway, worker, child = family
    worker.kill()
    assert has_ended(child)
    assert gateway.poll() is None


def test_a_worker_whose_gateway_is_gone_already_does_not_start() -> None:
    code = "from server.workers.lifetime import die_with_gateway\ndie_with_gateway()\nprint('alive')"
    environment = {**os.environ, PARENT_ENV: "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""
