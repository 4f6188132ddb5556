"""`python -m server.workers.study_worker`: load the base, then answer calls on a socket until it closes.

A call and its answer are one JSON object each, in frames of `multiprocessing.connection`:

    {"call": "ask", "requests": [...]}    the samples to ask from now on -> {"count": n}
    {"call": "swap", "path": FILE}        dense tensors to take on       -> {"seconds": s}
    {"call": "answer"}                    answers of all samples         -> {"answers": [...]}

What a call cannot do answers {"error": text}. The first frame says {"ready": true}.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.workers.lifetime import die_with_gateway
from server.workers.vllm_worker import CPU_ENVIRONMENT, ENVIRONMENT

if TYPE_CHECKING:
    from server.workers.study_worker.engine import LiveEngine


def main() -> None:
    """Serve calls until the other side hangs up."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    die_with_gateway()
    has_gpu = Path("/proc/driver/nvidia").exists()
    for name, value in (ENVIRONMENT | ({} if has_gpu else CPU_ENVIRONMENT)).items():
        os.environ.setdefault(name, value)
    # Swapping hands tensors to the model itself, which only works inside this process.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ["VLLM_LOGGING_LEVEL"] = "ERROR"  # each module that a swap leaves alone is a warning
    from server.workers.study_worker.engine import LiveEngine

    engine = LiveEngine(given.model, given.dtype)
    with Client(given.socket, "AF_UNIX") as connection:
        serve(connection, engine)
    sys.stdout.flush()


def serve(connection: Connection, engine: LiveEngine) -> None:
    """Answer calls; what the engine refuses is an answer too, and the next call finds it alive."""
    _send(connection, {"ready": True})
    while True:
        try:
            call = json.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            _send(connection, answer(call, engine))
        except (ValueError, KeyError, RuntimeError, OSError) as exc:
            _send(connection, {"error": f"{type(exc).__name__}: {exc}"})


def answer(call: dict[str, Any], engine: LiveEngine) -> dict[str, Any]:
    """What one call gives; ValueError for an unknown one."""
    match call["call"]:
        case "ask":
            return {"count": engine.prepare(call["requests"])}
        case "swap":
            return {"seconds": engine.swap(Path(call["path"]))}
        case "answer":
            return {"answers": engine.answer()}
        case unknown:
            raise ValueError(f"unknown call {unknown!r}")


def _send(connection: Connection, document: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(document).encode())


if __name__ == "__main__":
    main()
