"""Sizes that the page shows of checkpoints without a manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.page.overview import stored_size
from server.variants import Variant


def write(path: Path, dtype: str, count: int, width: int) -> None:
    entry = {"dtype": dtype, "shape": [count], "data_offsets": [0, count * width]}
    header = json.dumps({path.stem: entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(count * width))


def base(directory: Path | None) -> Variant:
    return Variant("base", "vllm", directory, None, "base", "", None)


def test_a_bases_size_is_that_of_its_tensors(tmp_path: Path) -> None:
    write(tmp_path / "one.safetensors", "BF16", 30, 2)
    assert stored_size(base(tmp_path)) == (60, 16.0)
    write(tmp_path / "two.safetensors", "F32", 10, 4)
    assert stored_size(base(tmp_path)) == (100, 20.0)


@pytest.mark.parametrize("is_here", [True, False])
def test_without_weights_there_is_no_size(tmp_path: Path, is_here: bool) -> None:
    assert stored_size(base(tmp_path if is_here else None)) == (None, None)
