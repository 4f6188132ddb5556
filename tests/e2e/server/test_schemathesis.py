"""schemathesis, sending the operations of our own /openapi.json all they describe, gets no 5xx."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.environment import python_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

ROOT = Path(__file__).resolve().parents[3]
CONFIG = """
variants:
  - {{name: a, directory: {model}}}
  - {{name: b, directory: {model}}}
routes:
  - {{name: r, arms: [{{variant: a, weight: 1}}, {{variant: b, weight: 1}}]}}
state_dir: {state}
timeouts: {{start_s: 60, drain_s: 1}}
"""
OPTIONS = ["--checks=not_a_server_error", "--phases=examples,coverage,fuzzing,stateful"]
OPTIONS += ["--max-examples=25", "--seed=1", "--generation-database=none", "--request-timeout=60"]
OPTIONS += ["--continue-on-failure", "--no-color", "--warnings=off"]
# Its designed answer is 503 while a variant is not up, and a variant whose url was drawn never is: it is
# asked before any other.
READY = "/ready"
# A variant that was taken down answers 503, as designed. These are sent what they describe too, at the end.
TAKES_DOWN = ["/admin/variants/{name}/drain", "/admin/variants/{name}/unload"]


def test_no_operation_answers_5xx(serve: Callable[..., Any], checkpoint: Path, tmp_path: Path) -> None:
    python = python_of("schemathesis")
    config = tmp_path / "server.yaml"
    config.write_text(CONFIG.format(model=checkpoint, state=tmp_path / "state"))
    server = serve(str(config))
    _send(python, tmp_path, server.url, [f"--include-path={READY}"])
    _send(
        python,
        tmp_path,
        server.url,
        [*(f"--exclude-path={path}" for path in (READY, *TAKES_DOWN)), "--exclude-method=DELETE"],
    )
    with urllib.request.urlopen(f"{server.url}/metrics") as response:
        counted = response.read().decode()
    # Not only refusals: the worker was reached, and answered.
    assert 'bitloom_requests_total{code="200",finish_reason="stop",route="a",variant="a"}' in counted
    _send(python, tmp_path, server.url, [f"--include-path={path}" for path in TAKES_DOWN])
    _send(python, tmp_path, server.url, ["--include-method=DELETE"])


def _send(python: Path, folder: Path, url: str, which: list[str]) -> None:
    program = python.with_name("schemathesis")
    done = subprocess.run(
        [program, "run", f"{url}/openapi.json", *OPTIONS, *which],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.conformance.schemathesis_hooks",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout
