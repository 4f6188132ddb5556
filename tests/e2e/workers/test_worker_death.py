"""No engine process survives its API process, and no worker survives its engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest

from bitloom.variant import Engine

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

DEADLINE_S = 30.0


@pytest.mark.parametrize("victim", ["api", pytest.param("engine", marks=pytest.mark.slow)])
def test_killing_one_process_of_a_vllm_worker_ends_all(
    victim: str, start: Callable[[Engine, Path], AbstractContextManager[Any]], llava_variant: Path
) -> None:
    with start("vllm", llava_variant) as worker:
        children = worker.descendants()
        assert children, "vLLM's engine core is a process of its own"
        (worker.process if victim == "api" else children[0]).kill()
        assert not psutil.wait_procs([worker.process, *children], timeout=DEADLINE_S)[1]
