"""How to start a worker process: the seam between the supervisor and the engines.

A worker serves the OpenAI subset (POST /v1/chat/completions, or /v1/score and /v1/embeddings where the
model matches; GET /v1/models, /health, /metrics) on a Unix socket. /health answers 200 once the model is
loaded. SIGTERM ends it cleanly; it dies with the process that called `worker_command`, and no child of its
own outlives it. This module imports no torch: the gateway uses it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bitloom.errors import InputError
from bitloom.variant import Engine

PARENT_ENV = "BITLOOM_PARENT_PID"
MAX_SOCKET_BYTES = 100


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What an engine is told beyond its model; the defaults suit a small model on a few CPU cores.

    `max_model_len` is in tokens (image tokens included; None: what the model allows), `kv_cache_bytes`
    is vLLM's cache (None: see `kv_cache`; transformers ignores it), `max_num_seqs` bounds the sequences
    decoded at once, `max_images` those of one request, `threads` the compute threads of the engine.
    """

    max_model_len: int | None = None
    kv_cache_bytes: int | None = None
    dtype: Literal["auto", "bfloat16", "float32", "float16"] = "auto"
    max_num_seqs: int = 16
    max_images: int = 1
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class WorkerCommand:
    """`argv` to run, and the variables to add to the environment."""

    argv: tuple[str, ...]
    env: dict[str, str]


def worker_command(
    engine: Engine, model_dir: Path, name: str, socket: Path, options: WorkerOptions
) -> WorkerCommand:
    """Command that serves the checkpoint at `model_dir` as model `name` on the Unix socket `socket`.

    The calling process must be the one that starts it, from a thread that outlives the worker: the
    kernel kills the worker when that thread ends. Raises InputError where the socket's path is too
    long for the kernel.
    """
    if len(os.fsencode(socket)) > MAX_SOCKET_BYTES:
        raise InputError(f"{socket}: longer than the {MAX_SOCKET_BYTES} bytes a socket path may have")
    module = {"vllm": "server.workers.vllm_worker", "transformers": "server.workers.transformers_worker"}
    argv = [sys.executable, "-m", module[engine], "--model", str(model_dir.resolve()), "--name", name]
    argv += ["--socket", str(socket), "--dtype", options.dtype, "--seed", str(options.seed)]
    argv += ["--max-num-seqs", str(options.max_num_seqs), "--max-images", str(options.max_images)]
    argv += ["--threads", str(options.threads)]
    for flag, value in (
        ("--max-model-len", options.max_model_len),
        ("--kv-cache-bytes", options.kv_cache_bytes),
    ):
        argv += [] if value is None else [flag, str(value)]
    env = {PARENT_ENV: str(os.getpid()), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(options.threads)}
    return WorkerCommand(tuple(argv), env)
