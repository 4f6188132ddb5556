"""The study worker as its owner sees it: a process that is started, called, and may die."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any, Self

from bitloom.errors import WorkerError
from bitloom.study.live.rooms import WORKER_MODULE

logger = logging.getLogger(__name__)

START_S, ANSWER_S, STOP_S = 600.0, 1800.0, 10.0
POLL_S = 0.2
TAIL_BYTES = 1500


class EngineProcess:
    """One engine with the base loaded; use it as a context, or `close` it."""

    def __init__(self, model: Path, *, dtype: str = "float32") -> None:
        self._home = tempfile.TemporaryDirectory(prefix="bitloom-study-")
        home = Path(self._home.name)
        self._log = home / "worker.log"
        address = str(home / "worker.sock")
        self.swap_file = home / "swap.safetensors"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "BITLOOM_PARENT_PID": str(os.getpid())}
        command = [sys.executable, "-m", WORKER_MODULE, "--model", str(model), "--socket", address]
        with Listener(address, "AF_UNIX") as listener, self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--dtype", dtype], env=environment, stdout=log, stderr=log
            )
            self._connection = self._accept(listener)
        self._receive(START_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    def ask(self, requests: Sequence[Mapping[str, Any]]) -> None:
        """Set the samples that `answer` answers."""
        self._call({"call": "ask", "requests": list(requests)})

    def swap(self, path: Path) -> float:
        """Take on the tensors of a file; seconds that it took."""
        return float(self._call({"call": "swap", "path": str(path)})["seconds"])

    def answer(self) -> list[dict[str, Any]]:
        """Answers of all samples."""
        answers: list[dict[str, Any]] = self._call({"call": "answer"})["answers"]
        return answers

    def close(self) -> None:
        """End the process; harmless when it is dead already."""
        self._connection.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._home.cleanup()

    def _call(self, document: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self._connection.send_bytes(json.dumps(document).encode())
        except OSError as exc:
            raise self._death() from exc
        return self._receive(ANSWER_S)

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        try:
            while not self._connection.poll(POLL_S):
                if time.monotonic() > deadline:
                    self._process.kill()
                    raise WorkerError(
                        f"the study's engine did not answer within {timeout_s:.0f} s; see its load"
                    )
            document: dict[str, Any] = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as exc:
            raise self._death() from exc
        if "error" in document:
            raise WorkerError(f"the study's engine refused: {document['error']}")
        return document

    def _accept(self, listener: Listener) -> Connection:
        """The worker's connection, once its engine is loaded; WorkerError where it ends before that."""
        deadline = time.monotonic() + START_S
        # Listener has no timeout of its own: the socket below it has.
        listener._listener._socket.settimeout(POLL_S)  # type: ignore[attr-defined]
        while True:
            try:
                return listener.accept()
            except TimeoutError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise self._death() from None

    def _death(self) -> WorkerError:
        self._process.kill()
        code = self._process.wait()
        tail = self._log.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
        return WorkerError(f"the study's engine died (exit code {code}): {tail or 'it said nothing'}")
