"""A disk that fills up while artifacts are made, and weights that are not finite: named, whole, resumable."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bitloom.tensors import index_tensors
from quantize.artifacts.prepare import prepare_independent, prepare_sequential
from quantize.checkpoint import open_checkpoint
from quantize.errors import QuantizationError, StoreError
from quantize.store import ObjectStore

RULE = {"component": "all", "method": "gptq", "bits": 3, "group_size": 32}
FULL_AT = 8192  # bytes: files end here once the disk is "full"


@contextmanager
def file_size_limits() -> Iterator[None]:
    """Whatever limit the block sets, the process's own comes back."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def fill_disk() -> None:
    """From now on the system takes no byte past `FULL_AT`: writes fail in the middle of a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_AT, hard))


def test_a_disk_that_fills_up_leaves_whole_objects_and_the_run_goes_on(llava: Any, tmp_path: Path) -> None:
    layers = llava.layers(RULE)
    whole = prepare_sequential(llava.calibrated(), layers, ObjectStore(tmp_path / "whole"))
    store = ObjectStore(tmp_path / "full")

    def fill(name: str, done: int, total: int) -> None:
        if done == 4:
            fill_disk()

    with file_size_limits(), pytest.raises(StoreError, match=r"could not be written .*bitloom store gc"):
        prepare_sequential(llava.calibrated(), layers, store, fill)
    kept = [entry.key for entry in store.entries()]
    assert kept
    for key in kept:
        store.peek(key)  # raises where an object is torn
    assert not list(store.root.rglob(".*"))
    resumed = prepare_sequential(llava.calibrated(), layers, store)
    for layer in layers:
        assert torch.equal(resumed.quantized(layer).weight.integers, whole.quantized(layer).weight.integers)


@pytest.mark.parametrize("method", ["rtn", "gptq", "awq"])
@pytest.mark.parametrize(("bits", "value"), [(0x7FC0, "NaN"), (0x7F80, "infinity")])
def test_weights_that_are_not_finite_are_named(
    llava: Any, llava_base: Path, tmp_path: Path, method: str, bits: int, value: str
) -> None:
    damaged = Path(shutil.copytree(llava_base, tmp_path / "damaged"))
    name = "language_model.model.layers.1.mlp.down_proj"
    entry = index_tensors(damaged)[f"{name}.weight"]
    with entry.path.open("r+b") as file:
        file.seek(entry.offset + 2 * 17)
        file.write(np.array(bits, "<u2").tobytes())
    llava.base, llava.checkpoint = damaged, open_checkpoint(str(damaged))
    rule = {**RULE, "method": method}
    with pytest.raises(QuantizationError, match=r"language_model\.model\.layers\.1\.\S+: .*NaN or infinity"):
        prepare_independent(llava.calibrated(), [llava.layers(rule)], ObjectStore(tmp_path / "store"))
