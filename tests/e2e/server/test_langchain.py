"""LangChain's standard tests of a chat model pass against the real vLLM worker."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conformance.environment import python_of

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "zoo" / "tiny-llava"
CHILD = ROOT / "tests" / "conformance" / "openai" / "langchain_child.py"
# Our own pytest settings are not the suite's. One event loop for all its tests: LangChain keeps one HTTP
# client for all models with one address, and a connection cannot outlive the loop it was opened in.
OPTIONS = ["-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "--timeout", "300", "-q", "-rs"]
OPTIONS += ["-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session"]
OPTIONS += ["-o", "asyncio_default_fixture_loop_scope=session"]


def test_langchains_standard_tests(serve: Callable[..., Any], tmp_path: Path) -> None:
    if not (MODEL / "model.safetensors").is_file():
        pytest.skip(f"{MODEL} has no weights")
    python = python_of("langchain")
    picture, report, config = (tmp_path / name for name in ("picture.png", "report.xml", "server.yaml"))
    Image.new("RGB", (96, 96), "red").save(picture)
    # The suite changes the model from one request to the next, so there are two; vLLM has the first.
    config.write_text(
        f"variants:\n  - {{name: base, directory: {MODEL}, engine: vllm}}\n"
        f"  - {{name: twin, directory: {MODEL}, engine: transformers}}\n"
    )
    server = serve(str(config), command=None)
    done = subprocess.run(
        [python, "-m", "pytest", *OPTIONS, f"--rootdir={tmp_path}", f"--junitxml={report}", CHILD],
        cwd=tmp_path,
        env={**os.environ, "BITLOOM_URL": f"{server.url}/v1", "BITLOOM_PICTURE": str(picture)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cases = ET.parse(report).iter("testcase")
    passed = {case.attrib["name"] for case in cases if case.find("skipped") is None}
    for name in ("test_invoke", "test_abatch", "test_astream[model0]", "test_astream_events_v3"):
        assert name in passed
    for name in ("test_usage_metadata_streaming", "test_image_inputs", "test_stream_with_model_override"):
        assert name in passed
    assert len(passed) >= 22
