"""Quantizing on a device: what is refused, what does not change on the CPU, and that a GPU gives the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu_quantize import MOST_DIFFERING, difference
from bitloom.errors import InputError
from bitloom.plan import Plan
from quantize.calibration.passes import CalibrationPass
from quantize.checkpoint import open_checkpoint
from quantize.device import CPU, find_device
from quantize.pipeline import quantize

BASE = Path(__file__).parents[3] / "zoo" / "tiny-llava"
HAS_GPU = torch.cuda.is_available()


def plan_of(method: str, **calibration: Any) -> Plan:
    document = {
        "name": method,
        "base": str(BASE),
        "rules": [
            {"component": "all", "method": method, "bits": 4, "group_size": 64},
            {"component": "language", "method": "rtn"},
        ],
        "calibration": {"samples": 4, "mode": "independent", **calibration},
    }
    return Plan.parse(document, source="test")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:99", "mps", "meta"])
def test_devices_that_are_not_at_hand_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"device '{name}'.*give cpu"):
        find_device(name)


@pytest.mark.skipif(HAS_GPU, reason="there is a CUDA device")
def test_cuda_is_refused_where_there_is_none() -> None:
    with pytest.raises(InputError, match="PyTorch sees 0 CUDA devices"):
        find_device("cuda")


def test_variants_are_compared_integer_by_integer(tmp_path: Path) -> None:
    for name, samples in (("one", 4), ("other", 6)):
        store = tmp_path / f"store-{name}"
        quantize(plan_of("gptq", samples=samples), tmp_path / name, store=store, device=CPU)
    same = difference(tmp_path / "one", tmp_path / "one")
    assert same.count > 400_000
    assert (same.differing, same.greatest, same.share) == (0, 0, 0.0)
    other = difference(tmp_path / "one", tmp_path / "other")
    assert other.count == same.count
    assert 0 < other.share < 1
    assert other.greatest >= 1


def test_what_another_device_learnt_has_another_key() -> None:
    checkpoint, calibration = open_checkpoint(str(BASE)), plan_of("gptq").calibration
    plain = CalibrationPass(checkpoint, calibration)
    assert plain.identity == CalibrationPass(checkpoint, calibration, torch.device("cpu")).identity
    assert plain.identity != CalibrationPass(checkpoint, calibration, torch.device("cuda")).identity


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_GPU, reason="no CUDA device")
@pytest.mark.parametrize("method", ["gptq", "awq"])
@pytest.mark.parametrize("mode", ["independent", "sequential"])
def test_a_gpu_gives_the_same_integers_up_to_ties(method: str, mode: str, tmp_path: Path) -> None:
    for name in ("cpu", "cuda"):
        store = tmp_path / f"store-{name}"
        quantize(plan_of(method, mode=mode), tmp_path / name, store=store, device=find_device(name))
    found = difference(tmp_path / "cpu", tmp_path / "cuda")
    assert found.count > 400_000
    assert found.share <= MOST_DIFFERING
