"""Sizes of models as the report gives them."""

import json
from pathlib import Path

import pytest

from bitloom.errors import CheckpointError
from eval_client.report.runs import model_size


def write_tensors(path: Path, *shapes: tuple[int, ...]) -> None:
    header, end = {}, 0
    for number, shape in enumerate(shapes):
        start, size = end, 2
        for side in shape:
            size *= side
        end = start + size
        header[f"w{number}"] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps({**header, "__metadata__": {"format": "pt"}}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))


def test_a_dense_checkpoint_is_counted_by_its_headers(tmp_path: Path) -> None:
    write_tensors(tmp_path / "model-1.safetensors", (3, 4), ())
    write_tensors(tmp_path / "model-2.safetensors", (5,))
    size = model_size(tmp_path)
    assert (size.stored_bytes, size.bpw) == (36, 16.0)


def test_a_directory_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no variant\.json, no \*\.safetensors"):
        model_size(tmp_path)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 16, b"\x02" + bytes(7) + b"[]"])
def test_a_truncated_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no safetensors header"):
        model_size(tmp_path)
