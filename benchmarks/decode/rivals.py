"""The engines that `benchmarks.cpu_decode` compares, each a process that measures when it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.decode.models import BASE, SHAPE, model_directory
from benchmarks.harness import peer_environment, peer_home
from server.workers.kernels.library import ACTIVATIONS_VARIABLE
from server.workers.vllm_worker import CPU_ENVIRONMENT, ENVIRONMENT

THREADS = 2
INT8 = "int8"
PROMPT_TOKENS = SHAPE.image_tokens + 64
LLAMA = Path(__file__).parents[1] / "peers" / "llama.py"
LLAMA_REQUIREMENTS = ("llama-cpp-python==0.3.36", "gguf==0.19.0")
# Compiled for this machine, with both cores; without the programs for pictures.
LLAMA_BUILD = {"CMAKE_ARGS": "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF", "CMAKE_BUILD_PARALLEL_LEVEL": "2"}


class RivalError(Exception):
    """An engine that does not start, or ended; the message is the end of what it said."""


class Rival:
    """A running engine."""

    def __init__(self, name: str, process: subprocess.Popen[str], log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log
        self.resident_bytes = int(self._answer()["resident_bytes"])

    def prefill(self) -> float:
        """Seconds for a new prompt; RivalError where it has other than PROMPT_TOKENS tokens."""
        found = self._ask("prefill")
        if found["tokens"] != PROMPT_TOKENS:
            raise RivalError(f"{self.name} read {found['tokens']} tokens instead of {PROMPT_TOKENS}")
        return float(found["seconds"])

    def prompt(self) -> None:
        """Read a short prompt of text, to decode after."""
        self._ask("prompt")

    def decode(self, tokens: int) -> list[float]:
        """Seconds of each of some further tokens."""
        seconds: list[float] = self._ask(f"decode {tokens}")["seconds"]
        return seconds

    def _ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        for line in self._process.stdout or ():
            if line.startswith("="):
                document: dict[str, Any] = json.loads(line[1:])
                return document
        self._process.wait()
        said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise RivalError(f"{self.name} ended: {said[-1] if said else 'without a word'}")


@contextmanager
def running(name: str) -> Iterator[Rival]:
    """A rival by name: `bf16`, `w2` to `w8`, `w8 int8` (our kernels with 8-bit activations), `w8a8` (stored
    so, by vLLM's kernel), `stock w4`, `llama Q4_0`, `llama Q8_0`."""
    log = peer_home("cpu-decode") / f"{name.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv, variables = command_of(name)
    with log.open("wb") as errors, ExitStack() as stack:
        process = subprocess.Popen(
            argv,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield Rival(name, process, log)


def command_of(name: str) -> tuple[Sequence[str | Path], dict[str, str]]:
    """What starts a rival, and its variables."""
    if name.startswith("llama "):
        return llama_command(name.removeprefix("llama ")), {"OMP_NUM_THREADS": str(THREADS)}
    variables = {**ENVIRONMENT, **CPU_ENVIRONMENT, "OMP_NUM_THREADS": str(THREADS)}
    if name in ("bf16", "stock w4"):
        variables["VLLM_PLUGINS"] = ""  # vLLM without ours
    if name.endswith(INT8):
        variables[ACTIVATIONS_VARIABLE] = INT8
    argv = [sys.executable, "-m", "benchmarks.decode.engine", str(model_of(name))]
    return argv, variables


def model_of(name: str) -> Path:
    """The checkpoint of a rival that is vLLM."""
    return model_directory({"bf16": BASE, "stock w4": "w4"}.get(name, name.removesuffix(f" {INT8}")))


def llama_command(kind: str) -> Sequence[str | Path]:
    """What starts llama.cpp on the base's language model; its file is written where it is not there yet."""
    python = peer_environment("llama-cpp", LLAMA_REQUIREMENTS, LLAMA_BUILD)
    path = peer_home("cpu-decode") / f"language-{kind}.gguf"
    argv: list[str | Path] = [python, LLAMA, model_directory(BASE), path, kind, str(PROMPT_TOKENS)]
    if not path.is_file():
        print(f"writing {path.name}", flush=True)
        subprocess.run([*argv, "--write"], check=True)
    return argv
