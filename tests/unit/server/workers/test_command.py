"""The command line that the supervisor writes is the one that the workers read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.errors import InputError
from bitloom.variant import Engine
from server.workers.arguments import parse_arguments
from server.workers.command import PARENT_ENV, WorkerOptions, worker_command

COUNTS = st.integers(1, 1 << 40)
OPTIONS = st.builds(
    WorkerOptions,
    max_model_len=st.none() | COUNTS,
    kv_cache_bytes=st.none() | COUNTS,
    dtype=st.sampled_from(["auto", "bfloat16", "float32", "float16"]),
    max_num_seqs=COUNTS,
    max_images=st.integers(0, 8),
    seed=st.integers(0, 1 << 31),
    threads=st.integers(1, 64),
)


@given(engine=st.sampled_from(["vllm", "transformers"]), options=OPTIONS)
def test_options_survive_the_command_line(engine: Engine, options: WorkerOptions) -> None:
    command = worker_command(engine, Path("/models/-m x"), "v8 'x'", Path("/run/s.sock"), options)
    assert command.argv[0] == sys.executable
    assert command.argv[2] == f"server.workers.{engine}_worker"
    arguments = parse_arguments(command.argv[3:])
    assert arguments.options == options
    assert (arguments.model, arguments.name) == (Path("/models/-m x"), "v8 'x'")
    assert arguments.socket == Path("/run/s.sock")


def test_the_worker_knows_who_started_it() -> None:
    command = worker_command("vllm", Path("m"), "n", Path("s"), WorkerOptions(threads=3))
    assert command.env[PARENT_ENV] == str(os.getpid())
    assert command.env["OMP_NUM_THREADS"] == "3"


def test_a_socket_path_the_kernel_would_cut_is_refused() -> None:
    socket = Path("/" + "d" * 120 + "/worker.sock")
    with pytest.raises(InputError, match="longer than the 100 bytes"):
        worker_command("vllm", Path("m"), "n", socket, WorkerOptions())


def test_the_gateway_may_import_it_without_torch() -> None:
    code = "import sys, server.workers.command; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
