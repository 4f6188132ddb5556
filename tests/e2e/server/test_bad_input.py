"""What `bitloom serve` refuses, with which words and exit codes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bitloom", "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, " ".join(done.stderr.split())


def test_a_port_in_use(checkpoint: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, message = run(str(checkpoint), "--port", port)
    assert code == 2
    assert f"port {port} on 127.0.0.1 is in use" in message


def test_a_worker_that_does_not_start_ends_the_others(checkpoint: Path) -> None:
    stub = f"{sys.executable} -m server.stub_engine --socket {{socket}} --name {{name}}"
    command = f"[sh, -c, '[ {{name}} = bad ] && echo out of memory && exit 3; exec {stub}']"
    code, message = run(
        f"good={checkpoint}", f"bad={checkpoint}", BITLOOM_SERVE_COMMAND=command, MARK=str(checkpoint)
    )
    assert code == 1
    assert "variant bad: its worker ended with code 3" in message
    assert "out of memory" in message
    mine = [process for process in psutil.process_iter() if _is_marked(process, checkpoint)]
    assert not mine


def _is_marked(process: psutil.Process, checkpoint: Path) -> bool:
    try:
        return process.environ().get("MARK") == str(checkpoint)
    except psutil.Error:
        return False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to serve"),
        (("/no/such/dir",), "is no directory"),
        (("{dir}", "{dir}"), "two variants or routes are called model"),
        (("bad name={dir}",), "variants.0.name"),
        (("{dir}", "--config", "/no/such.yaml"), "/no/such.yaml: cannot be read"),
        (("{dir}", "--host", "no.such.host.invalid"), "no.such.host.invalid: no such address"),
        (("{dir}", "--port", "99999"), "99999"),
        (("{dir}", "--engine", "magic"), "magic"),
    ],
)
def test_wrong_arguments(checkpoint: Path, arguments: tuple[str, ...], words: str) -> None:
    code, message = run(*(word.format(dir=checkpoint) for word in arguments))
    assert code == 2
    assert words in message


def test_a_truncated_checkpoint(checkpoint: Path) -> None:
    with (checkpoint / "model.safetensors").open("ab") as weights:
        weights.write(b"x")
    code, message = run(str(checkpoint))
    assert code == 2
    assert "its header promises" in message
