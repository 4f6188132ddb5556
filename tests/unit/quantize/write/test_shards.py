"""Streamed shards are what the safetensors library reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from bitloom.tensors import index_tensors
from quantize.write.layout import TensorSpec
from quantize.write.shards import ShardWriter

SPECS = [
    TensorSpec("odd", "I8", (3,)),
    TensorSpec("wide", "I64", (2,)),
    TensorSpec("half", "BF16", (3,)),
    TensorSpec("empty", "F32", (0, 4)),
]
CONTENT: dict[str, np.ndarray] = {
    "odd": np.array([-1, 0, 1], dtype=np.int8),
    "wide": np.array([5, 2**40]),
    "half": np.array([0x3F80, 0x4000, 0xC000], dtype="<u2"),
    "empty": np.zeros((0, 4), dtype=np.float32),
}


def test_the_safetensors_library_reads_one_file(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, SPECS) as shards:
        for name in ("half", "wide", "empty", "odd"):
            shards.write(name, CONTENT[name])
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.get_tensor("half").tolist() == [1.0, 2.0, -2.0]
        assert file.get_tensor("wide").tolist() == [5, 2**40]
        assert file.get_tensor("odd").dtype == torch.int8
        assert file.get_tensor("empty").shape == (0, 4)
        assert file.metadata() == {"format": "pt"}


def test_tensors_are_aligned_and_split_at_the_limit(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, SPECS, max_shard_bytes=16) as shards:
        for name, content in CONTENT.items():
            shards.write(name, content)
    entries = index_tensors(tmp_path)
    assert {entry.path.name for entry in entries.values()} == {
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
    }
    assert all(entry.offset % 8 == 0 for entry in entries.values())


def test_a_forgotten_tensor_and_a_wrong_size_are_caught(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="2 tensors were not written"),
        ShardWriter(tmp_path, SPECS[:3]) as shards,
    ):
        shards.write("odd", CONTENT["odd"])
    with (
        pytest.raises(AssertionError, match="24 bytes for a place of 3"),
        ShardWriter(tmp_path, SPECS) as shards,
    ):
        shards.write("odd", np.zeros(3))
