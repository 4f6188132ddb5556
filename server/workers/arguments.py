"""What a worker process is told: the flags that `command.worker_command` writes, read back."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.workers.command import WorkerOptions


@dataclass(frozen=True, slots=True)
class WorkerArguments:
    """The checkpoint, the model name clients use, the socket to serve on, and the engine's options."""

    model: Path
    name: str
    socket: Path
    options: WorkerOptions


def parse_arguments(argv: Sequence[str] | None = None) -> WorkerArguments:
    """Arguments of this process (or of `argv`); exits 2 with a message where they are wrong."""
    defaults = WorkerOptions()
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--max-model-len", type=int, default=defaults.max_model_len)
    parser.add_argument("--kv-cache-bytes", type=int, default=defaults.kv_cache_bytes)
    parser.add_argument("--dtype", choices=["auto", "bfloat16", "float32", "float16"], default=defaults.dtype)
    parser.add_argument("--max-num-seqs", type=int, default=defaults.max_num_seqs)
    parser.add_argument("--max-images", type=int, default=defaults.max_images)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=defaults.threads)
    given = vars(parser.parse_args(argv))
    model, name, socket = (given.pop(key) for key in ("model", "name", "socket"))
    return WorkerArguments(model, name, socket, WorkerOptions(**given))
