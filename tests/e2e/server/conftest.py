"""`bitloom serve` as a real process, over stub engines as real processes."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

STUB = [sys.executable, "-m", "server.stub_engine", "--socket", "{socket}", "--name", "{name}"]
STUB += ["--weights", "{directory}"]
START_S = 600


@dataclass(slots=True)
class Server:
    """A running `bitloom serve`."""

    process: subprocess.Popen[str]
    url: str

    def worker(self, name: str) -> psutil.Process:
        """The process of a variant's worker, found by its command line."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if name in child.cmdline():
                return child
        raise AssertionError(f"no worker {name}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the gateway and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A directory that passes for a base checkpoint."""
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "config.json").write_text('{"architectures": ["LlavaForConditionalGeneration"]}')
    header = json.dumps({}).encode()
    (directory / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return directory


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start `bitloom serve ARGUMENTS`, wait for its ready line; everything is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, command: list[str] | None = STUB, **environment: str) -> Server:
        environment |= {"BITLOOM_SERVE_TIMEOUTS__BACKOFF_FIRST_S": "0.1"}
        if command is not None:
            environment["BITLOOM_SERVE_COMMAND"] = json.dumps(command)
        with (tmp_path / "gateway.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bitloom", "serve", *arguments, "--port", "0"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **environment},
            )
        started.append(process)
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read_line, args=(process, lines), daemon=True).start()
        line = lines.get(timeout=START_S)
        found = re.search(r"ready on (http://\S+)/v1", line)
        assert found, (line, (tmp_path / "gateway.log").read_text())
        return Server(process, found[1])

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _read_line(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    lines.put(process.stdout.readline())
