"""The models and the arithmetic of `benchmarks.cpu_decode`, without an engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cpu_decode
from benchmarks.decode import models
from benchmarks.harness import CACHE_VARIABLE
from benchmarks.shapes import CLIP_LLAMA_1B, LlavaShape
from bitloom.dequantize import dequantized_state
from bitloom.tensors import index_tensors
from bitloom.variant import read_manifest, verify_files

TINY = LlavaShape(128, 256, 2, 256, 512, 2, 4, 512, kv_heads=2, image_side=28, patch=14, has_class_token=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(models, "SHAPE", TINY)
    monkeypatch.chdir(Path(__file__).parents[3])
    return tmp_path / "cpu-decode"


def test_the_model_has_the_shape_that_the_issue_names() -> None:
    assert CLIP_LLAMA_1B.image_tokens == 577
    assert (CLIP_LLAMA_1B.hidden, CLIP_LLAMA_1B.blocks, CLIP_LLAMA_1B.kv_heads) == (2048, 16, 8)


@pytest.mark.parametrize("name", ["w3", "w8", "w8a8"])
def test_drawn_variants_are_variants(cache: Path, name: str) -> None:
    directory = models.model_directory(name)
    assert directory == cache / name
    manifest = read_manifest(directory)
    verify_files(directory, manifest)
    assert {layer.bits for layer in manifest.layers} == {8 if name == "w8a8" else int(name[1])}
    base = index_tensors(cache / "base")
    for tensor, array in dequantized_state(directory):
        assert array.shape == base[tensor].shape
        if tensor.endswith("proj.weight"):
            spread = float(np.std(array)) * array.shape[1] ** 0.5
            assert spread == pytest.approx(1.0, rel=0.1), tensor
    config = json.loads((directory / "config.json").read_text())
    assert config["image_seq_length"] == TINY.image_tokens == 5
    made = (directory / "variant.json").stat().st_mtime_ns
    assert models.model_directory(name) == directory
    assert (directory / "variant.json").stat().st_mtime_ns == made


def test_ratios_are_of_the_same_group() -> None:
    steps = {"bf16": 0.08, "w4": 0.02, "w3": 0.01, "llama Q4_0": 0.03}
    found = cpu_decode.ratios({"bf16": 4.0, "w4": 2.0, "w3": 1.0, "llama Q4_0": 8.0}, steps)
    assert found["w4 / bf16: tokens/s"] == pytest.approx(4)
    assert found["w4 / llama Q4_0: tokens/s"] == pytest.approx(1.5)
    assert found["w3 / w4: tokens/s"] == pytest.approx(2)
    assert found["w4 / bf16: prefill speed"] == pytest.approx(2)
    assert "llama Q4_0 / bf16: tokens/s" not in found
    assert not any(name.startswith("bf16") for name in found)
