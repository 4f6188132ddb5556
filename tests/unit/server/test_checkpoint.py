"""What is refused before a worker is started on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bitloom.errors import CheckpointError, VariantError
from server.checkpoint import read_checkpoint

MakeCheckpoint = Callable[..., Path]


def test_a_base_is_read(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = read_checkpoint(make_checkpoint())
    assert checkpoint.architecture == "LlavaForConditionalGeneration"
    assert checkpoint.manifest is None
    assert checkpoint.plan == "base"


def test_a_truncated_weight_file_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    directory = make_checkpoint()
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: \d+ bytes, its header promises \d+"):
        read_checkpoint(directory)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0{}x"[:9], b"\x02\0\0\0\0\0\0\0[]"])
def test_a_damaged_header_is_refused(make_checkpoint: MakeCheckpoint, content: bytes) -> None:
    directory = make_checkpoint()
    (directory / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="copy the file again"):
        read_checkpoint(directory)


def test_a_shard_of_the_index_that_is_missing_is_named(make_checkpoint: MakeCheckpoint) -> None:
    directory = make_checkpoint()
    index = {"weight_map": {"w": "model.safetensors", "v": "model-2.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"model-2\.safetensors"):
        read_checkpoint(directory)


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"architectures": []}', '{"architectures": [1]}'])
def test_a_config_without_architecture_is_refused(make_checkpoint: MakeCheckpoint, config: str) -> None:
    directory = make_checkpoint()
    (directory / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_checkpoint(directory)


def test_a_directory_without_weights_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    directory = make_checkpoint()
    (directory / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no \\*\\.safetensors"):
        read_checkpoint(directory)


def test_no_directory_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such directory"):
        read_checkpoint(tmp_path / "none")


def test_a_broken_manifest_is_not_taken_for_a_base(make_checkpoint: MakeCheckpoint) -> None:
    directory = make_checkpoint()
    (directory / "variant.json").write_text("{}")
    with pytest.raises(VariantError):
        read_checkpoint(directory)


def test_a_variant_is_read_with_its_manifest(make_variant: MakeCheckpoint) -> None:
    checkpoint = read_checkpoint(make_variant())
    assert checkpoint.plan == "plan-4"
    assert len(checkpoint.weights_sha256) == 64


def test_a_variant_whose_hash_is_wrong(make_variant: MakeCheckpoint) -> None:
    directory = make_variant()
    weights = directory / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(VariantError, match=r"model\.safetensors: its SHA-256 is not the manifest's"):
        read_checkpoint(directory)
