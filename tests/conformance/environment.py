"""Environments of their own for other projects' suites, made when the first test asks for one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.tools import interpreter, make


def python_of(name: str) -> Path:
    """Python of an environment of `deploy/tools.py`; skips the test where it cannot be installed."""
    try:
        make(name)
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"the environment {name} cannot be made here ({exc}); python deploy/tools.py {name}")
    python = interpreter(name)
    assert python is not None
    return python
