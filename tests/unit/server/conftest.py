"""Directories that look like checkpoints to everything but an engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bitloom.files import list_files
from bitloom.provenance import provenance

MakeCheckpoint = Callable[..., Path]


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    def make(name: str = "tiny", architecture: str = "LlavaForConditionalGeneration") -> Path:
        directory = tmp_path / name
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps({"architectures": [architecture]}))
        header = json.dumps({"w": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
        weights = len(header).to_bytes(8, "little") + header + b"\1\2\3\4"
        (directory / "model.safetensors").write_bytes(weights)
        return directory

    return make


@pytest.fixture
def make_variant(make_checkpoint: MakeCheckpoint) -> MakeCheckpoint:
    """A checkpoint with a manifest that is true of it."""

    def make(name: str = "w4", engines: tuple[str, ...] = ("vllm", "transformers")) -> Path:
        directory = make_checkpoint(name)
        files = [entry.model_dump() for entry in list_files(directory)]
        size = {
            **dict.fromkeys(("parameters", "quantized_parameters", "stored_bytes"), 4),
            **{"bpw": 4.25, "bpw_paper": 4.0, "resident_bytes": {}},
        }
        manifest = {
            "name": name,
            "plan": {"name": "plan-4", "base": "b", "rules": [{"bits": 4}]},
            "plan_hash": "0" * 64,
            "base": {"path": "b", "revision": None, "family": "llava", "weights_sha256": "0" * 64},
            "calibration_hash": None,
            "provenance": provenance().model_dump(),
            "total": size,
            **{"components": {}, "layers": [], "engines": engines, "files": files},
        }
        (directory / "variant.json").write_text(json.dumps(manifest))
        return directory

    return make
