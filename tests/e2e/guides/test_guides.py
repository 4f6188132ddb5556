"""The guides, as they stand: every shell block of each, in one shell session, on the small models."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
GUIDES = ROOT / "docs" / "guides"
MODEL = ROOT / "zoo" / "tiny-llava"
TIMEOUT_S = 1500
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not (MODEL / "model.safetensors").is_file(), reason=f"{MODEL} has no weights"),
]
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="no Prometheus (Debian: apt-get install prometheus)",
)


def blocks(guide: str) -> list[str]:
    """Shell blocks of a guide; a block of another language would not be run, so there is none."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    assert {language for language, _ in found} == {"sh"}
    return [body for _, body in found]


def run(guide: str, folder: Path, **variables: str) -> str:
    """What the guide's session prints; everything it started is gone at the end."""
    script = "\n".join(["set -euo pipefail", *blocks(guide)])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "BITLOOM_SERVE_TIMEOUTS__START_S": "1200", **variables}
    with (folder / "session.log").open("w") as log:
        session = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = session.wait(TIMEOUT_S)
        finally:
            end_group(session.pid)
    printed = (folder / "session.log").read_text(encoding="utf-8")
    serving = folder / "serve.log"
    assert code == 0, printed + (serving.read_text(encoding="utf-8") if serving.is_file() else "")
    return printed


def end_group(pid: int) -> None:
    """End what is left of the session."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the first guide, which makes the variant that the second tests."""
    return tmp_path_factory.mktemp("guides")


@pytest.fixture(scope="module")
def deployed(workspace: Path) -> str:
    return run("deploy.md", workspace, BASE=str(MODEL), PORT=free_port(), SAMPLES="12")


@pytest.mark.vllm
def test_deploy_a_quantized_llava(deployed: str, workspace: Path) -> None:
    manifest = json.loads((workspace / "variants" / "v8-l4" / "variant.json").read_text())
    assert 4 < manifest["components"]["language"]["bpw"] < 6
    for bits in (8, 6, 4, 3):
        assert (workspace / "plans" / f"v8-l{bits}.yaml").is_file()
    answer = (workspace / "answer.txt").read_text()
    assert len(answer.split()) > 2
    assert (workspace / "report.html").stat().st_size > 10_000
    assert "vqa" in deployed


@pytest.mark.vllm
def test_ab_test_two_variants(deployed: str, workspace: Path) -> None:
    variant = workspace / "variants" / "v8-l4"
    printed = run("ab-test.md", workspace, BASE=str(MODEL), PORT=free_port(), VARIANT=str(variant))
    report = json.loads((workspace / "result.json").read_text())["report"]
    assert sum(arm["requests"] for arm in report["arms"]) == 40
    assert sum(arm["feedback"]["count"] for arm in report["arms"]) == 10
    assert "split as dealt: True" in printed
    standings = {
        name: {
            arm["variant"]: arm["share"]
            for arm in json.loads((workspace / name).read_text())["report"]["arms"]
        }
        for name in ("rolled-back.json", "resumed.json")
    }
    assert standings["rolled-back.json"] == {"base": 1.0, "v8-l4": 0.0}
    assert standings["resumed.json"] == pytest.approx({"base": 0.9, "v8-l4": 0.1})
    weights = (workspace / "weights.txt").read_text()
    assert 'variant="v8-l4"} 1.0' in weights
    assert 'variant="base"} 0.0' in weights


@needs_prometheus
def test_watch_it(tmp_path: Path) -> None:
    with stub_server(tmp_path) as port:
        ports = {"PORT": port, "PROMETHEUS_PORT": free_port()}
        work = tmp_path / "work"
        work.mkdir()
        # The guide's session runs in the repository's folder.
        printed = run_in_repository("watch.md", tmp_path, WORK=str(work), **ports)
    assert 'bitloom_variant_state{instance="127.0.0.1' in printed
    made = {path.name: path.read_bytes() for path in (work / "dashboards").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (ROOT / "deploy/grafana/dashboards").iterdir()}


def run_in_repository(guide: str, folder: Path, **variables: str) -> str:
    link = folder / "deploy"
    link.symlink_to(ROOT / "deploy")
    return run(guide, folder, PYTHONPATH=str(ROOT), **variables)


@contextmanager
def stub_server(folder: Path) -> Iterator[str]:
    """A gateway before an engine without a model; its port."""
    stub = [sys.executable, "-m", "server.stub_engine", "--socket", "{socket}", "--name", "{name}"]
    env = {**os.environ, "BITLOOM_SERVE_COMMAND": json.dumps(stub)}
    port = free_port()
    command = [sys.executable, "-m", "bitloom", "serve", f"base={MODEL}", "--port", port]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            assert "ready on" in process.stdout.readline(), (folder / "server.log").read_text()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready") as response:
                assert response.status == 200
            yield port
        finally:
            process.terminate()
            process.communicate(timeout=60)


@pytest.mark.parametrize("guide", ["deploy.md", "ab-test.md", "watch.md"])
def test_the_blocks_are_shell(guide: str) -> None:
    for block in blocks(guide):
        subprocess.run(["bash", "-n", "-c", block], check=True)
