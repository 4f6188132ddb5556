"""Safetensors headers: what a damaged checkpoint is told before any weight is read."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from bitloom.errors import CheckpointError
from bitloom.tensors import index_tensors, read_array, read_header


def write_safetensors(path: Path, header: object, content: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
        "b": {"dtype": "F32", "shape": [1, 2], "data_offsets": [4, 12]},
    }
    bfloats = np.array([1.5, -2.0], dtype=np.float32).view(np.uint32) >> 16
    content = bfloats.astype("<u2").tobytes() + np.array([3.25, 4], dtype="<f4").tobytes()
    return write_safetensors(tmp_path / "model.safetensors", header, content)


def test_entries_hold_shape_dtype_and_values(weights: Path) -> None:
    entries = index_tensors(weights.parent)
    assert [(entry.name, entry.dtype, entry.shape) for entry in entries.values()] == [
        ("a", "BF16", (2,)),
        ("b", "F32", (1, 2)),
    ]
    np.testing.assert_array_equal(read_array(entries["a"]), np.array([1.5, -2.0], dtype=np.float32))
    np.testing.assert_array_equal(read_array(entries["b"]), [[3.25, 4.0]])


@pytest.mark.parametrize("length", [0, 7, 20, -1])
def test_a_truncated_file_is_named(weights: Path, length: int) -> None:
    weights.write_bytes(weights.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: truncated.*again"):
        read_header(weights)


def test_a_header_that_is_no_json_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 4) + b"nope" + b"\0" * 8)
    with pytest.raises(CheckpointError, match="malformed"):
        read_header(path)


def test_a_size_that_is_not_the_shapes_is_malformed(tmp_path: Path) -> None:
    header = {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}
    path = write_safetensors(tmp_path / "x.safetensors", header, b"\0" * 8)
    with pytest.raises(CheckpointError, match=r"8 bytes are not F32\[3\]"):
        read_header(path)


def test_a_directory_without_weights_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor"):
        index_tensors(tmp_path)
    with pytest.raises(CheckpointError, match="no such directory"):
        index_tensors(tmp_path / "absent")


def test_a_missing_shard_and_a_missing_tensor_are_named(weights: Path) -> None:
    index = weights.parent / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": weights.name, "b": "other.safetensors"}}))
    with pytest.raises(CheckpointError, match=r"other\.safetensors: cannot be read"):
        index_tensors(weights.parent)
    index.write_text(json.dumps({"weight_map": {"a": weights.name, "c": weights.name}}))
    with pytest.raises(CheckpointError, match="lists c, but no shard holds it"):
        index_tensors(weights.parent)
    index.write_text("{")
    with pytest.raises(CheckpointError, match="no readable index"):
        index_tensors(weights.parent)
