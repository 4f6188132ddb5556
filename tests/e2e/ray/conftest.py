"""`serve run deploy.ray.app:app` on a Ray of this machine, in Ray's own environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.ray.local import running
from deploy.tools import interpreter


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that passes for a base checkpoint."""
    directory = tmp_path_factory.mktemp("model")
    (directory / "config.json").write_text('{"architectures": ["LlavaForConditionalGeneration"]}')
    header = json.dumps({}).encode()
    (directory / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return directory


@pytest.fixture(scope="module")
def url(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway with two stub variants: `a` on two replicas, `b` on one that takes two requests at a time."""
    python = interpreter("ray")
    if python is None:
        pytest.skip("no Ray here; make its environment: python deploy/tools.py ray")
    folder = tmp_path_factory.mktemp("ray")
    stub = [str(python), "-m", "server.stub_engine", "--socket", "{socket}", "--name", "{name}"]
    routes = [{"name": "r", "arms": [{"variant": "a", "weight": 3}, {"variant": "b", "weight": 1}]}]
    variants = [{"name": name, "directory": str(checkpoint)} for name in ("a", "b")]
    server = {"variants": variants, "routes": routes, "command": stub}
    (folder / "server.yaml").write_text(yaml.safe_dump(server))
    spread = {
        "server": "server.yaml",
        "gateway_cpus": 0.2,
        "variants": {
            "a": {"replicas": 2, "num_cpus": 0.2},
            "b": {"max_ongoing_requests": 2, "max_queued_requests": 1, "num_cpus": 0.2},
        },
    }
    (folder / "ray.yaml").write_text(yaml.safe_dump(spread))
    with running(python, folder / "ray.yaml", folder / "ray.log") as address:
        yield address
