"""The Dockerfile, the compose file, and what a container says where it cannot serve."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.start import CannotStartError, serve_arguments
from deploy.tools import interpreter

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = ROOT / "deploy" / "compose.yaml"
PYTHON = interpreter("deploy-tools")
needs_tools = pytest.mark.skipif(
    PYTHON is None, reason="no hadolint and Compose here; make them: python deploy/tools.py deploy-tools"
)
PROGRAMS = ROOT / ".cache" / "deploy-tools"
VALUES = {"VARIANTS": "/srv/variants", "KEYS_FILE": "/srv/keys.json", "GRAFANA_PASSWORD": "p"}


def tool(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    assert PYTHON is not None
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp"), **environment}
    return subprocess.run(
        [PYTHON.parent / name, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


def compose(profile: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # The package's own wrapper loses the exit code of the program.
    (program,) = PROGRAMS.glob("lib/python*/site-packages/compose/docker-compose")
    return tool(str(program), "-f", str(COMPOSE), "--profile", profile, "config", **environment)


@needs_tools
def test_hadolint_finds_nothing() -> None:
    done = tool("hadolint", "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")
    spoiled = (ROOT / "Dockerfile").read_text().replace("USER 10001", "USER root").replace("--yes ", "")
    assert PYTHON is not None
    found = subprocess.run(
        [PYTHON.with_name("hadolint"), "-"], input=spoiled, capture_output=True, text=True, check=False
    )
    assert "DL3002" in found.stdout
    assert "DL3014" in found.stdout


def test_the_last_stages_run_without_root_and_build_tools() -> None:
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")[1:]
    last = {stage.splitlines()[0].rpartition(" AS ")[2]: stage for stage in stages}
    assert set(last) == {"build-cpu", "build-gpu", "cpu", "gpu"}
    for name in ("cpu", "gpu"):
        lines = [line for line in last[name].splitlines() if not line.startswith("#")]
        text = "\n".join(lines)
        assert "USER 10001" in text
        assert "HEALTHCHECK" in text
        assert "ENTRYPOINT" in text
        assert "gcc" not in text
        assert "environment.py" not in text
    for name in ("build-cpu", "build-gpu"):
        assert "--runtime" in last[name]
    # Into the folder that is copied, not into the cache of a stage that is thrown away.
    assert "python -m server.workers.kernels.build \\\n" in last["build-cpu"]


@needs_tools
@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_the_compose_file_is_valid(profile: str) -> None:
    done = compose(profile, **VALUES)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == {f"gateway-{profile}", "prometheus", "grafana"}
    gateway = services[f"gateway-{profile}"]
    assert gateway["read_only"] is True
    assert gateway["build"]["target"] == profile
    assert gateway["networks"]["default"]["aliases"] == ["gateway"]
    for service in services.values():
        assert all(port["host_ip"] == "127.0.0.1" for port in service["ports"])
        for volume in service["volumes"]:
            if volume["type"] == "bind" and "deploy" in volume["source"]:
                assert Path(volume["source"]).exists()
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert scraped["scrape_configs"][0]["static_configs"][0]["targets"] == ["gateway:8000"]


@needs_tools
@pytest.mark.parametrize("missing", sorted(VALUES))
def test_compose_says_what_it_lacks(missing: str) -> None:
    done = compose("cpu", **{name: value for name, value in VALUES.items() if name != missing})
    assert done.returncode != 0
    assert missing in done.stderr


def variants(folder: Path, *names: str) -> dict[str, str]:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
    return {"BITLOOM_VARIANTS": str(folder)}


def test_a_container_serves_the_folder_it_is_given(tmp_path: Path) -> None:
    environment = variants(tmp_path, "b", "a")
    assert serve_arguments([], environment) == [str(tmp_path / "a"), str(tmp_path / "b")]
    (tmp_path / "server.yaml").touch()
    assert serve_arguments([], environment) == [str(tmp_path / "server.yaml")]
    given = [f"x={tmp_path / 'a'}", "--port", "80"]
    assert serve_arguments(given, environment) == given


@pytest.mark.parametrize(
    ("given", "message"),
    [(["x={}/c"], "c: not there; .* holds a"), (["{}/c"], "not there")],
)
def test_a_variant_that_is_not_there(tmp_path: Path, given: list[str], message: str) -> None:
    environment = variants(tmp_path, "a")
    with pytest.raises(CannotStartError, match=message):
        serve_arguments([each.format(tmp_path) for each in given], environment)


def test_no_gpu_where_one_is_asked_for(tmp_path: Path) -> None:
    environment = {**variants(tmp_path, "a"), "BITLOOM_IMAGE": "gpu"}
    with pytest.raises(CannotStartError, match="--gpus all"):
        serve_arguments([], environment, driver=tmp_path / "none")
    assert serve_arguments([], environment, driver=tmp_path) == [str(tmp_path / "a")]


def test_the_message_is_all_that_an_operator_sees(tmp_path: Path) -> None:
    environment: dict[str, Any] = {**os.environ, "BITLOOM_VARIANTS": str(tmp_path), "BITLOOM_IMAGE": "cpu"}
    command = [sys.executable, "-m", "deploy.start"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"bitloom: {tmp_path} holds nothing")
    assert len(done.stderr.splitlines()) == 1
