"""Where the conformance data is, and the peer that some tests compare with."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from benchmarks.harness import peer_home

# The automaton learns as it reads: the first example of a test is slow, and says nothing.
settings.register_profile("learning", deadline=None)
settings.load_profile("learning")


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The folder of third-party conformance data; the test skips where it is not there."""
    folder = Path(os.environ.get("BITLOOM_SHARED", "../shared")) / "conformance"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set BITLOOM_SHARED to the folder that holds conformance/")
    return folder


@pytest.fixture(scope="session")
def pycocoevalcap_python() -> Path:
    """A Python that has pycocoevalcap, Java being there too; the test skips without."""
    if shutil.which("java") is None:
        pytest.skip("no Java runtime")
    if importlib.util.find_spec("pycocoevalcap") is not None:
        return Path(sys.executable)
    home = peer_home("pycocoevalcap")
    if not (home / "requirements.sha256").is_file():
        pytest.skip("no pycocoevalcap: `python -m benchmarks.caption_metrics` makes an environment with it")
    return home / "bin" / "python"
