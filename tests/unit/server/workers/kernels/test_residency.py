"""Variants in the transformers worker: packed layers in place of dense ones, and the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bitloom.plan import COMPONENTS, Plan
from bitloom.tensors import index_tensors
from bitloom.variant import read_manifest
from quantize.pipeline import quantize
from server.workers.command import WorkerOptions
from server.workers.kernels.library import kernels
from server.workers.kernels.linear import PackedLinear
from server.workers.memory import tensor_bytes
from server.workers.transformers_worker import residency
from server.workers.transformers_worker.loading import LoadedModel, load_model

pytestmark = pytest.mark.timeout(900)

ZOO = Path(__file__).parents[5] / "zoo"
TEXTS = {"tiny-llava": "USER: <image>\ndescribe the image. ASSISTANT:", "tiny-blip2": "a photo of"}


# The Q-Former and language projection are stored dense: vLLM has no packed form of them.
WIDTHS = {"tiny-llava": {3, 5, 7}, "tiny-blip2": {3, 7}}


def variant(model: str, directory: Path) -> Path:
    document = {
        "name": "mixture",
        "base": str(ZOO / model),
        "rules": [
            {"component": "vision", "method": "rtn", "bits": 7, "group_size": 32},
            {"component": "connector", "method": "rtn", "bits": 5, "group_size": "channel"},
            {"component": "language", "method": "rtn", "bits": 3, "group_size": 64, "symmetric": False},
        ],
    }
    quantize(Plan.parse(document, source="test"), directory / "variant", store=directory / "store")
    return directory / "variant"


def bytes_of(loaded: LoadedModel) -> int:
    return sum(tensor_bytes(loaded.model).values())


def logits(loaded: LoadedModel, text: str) -> torch.Tensor:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    inputs: Any = loaded.processor(images=[image], text=text, return_tensors="pt")
    with torch.inference_mode():
        return torch.log_softmax(loaded.model(**inputs).logits[0, -1].float(), -1)


@pytest.mark.skipif(kernels() is None, reason="no C++ compiler, and no prebuilt library")
@pytest.mark.parametrize("model", ["tiny-llava", pytest.param("tiny-blip2", marks=pytest.mark.slow)])
def test_packed_layers_answer_as_dense_ones(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = variant(model, tmp_path)
    packed = load_model(directory, WorkerOptions(dtype="float32"))
    monkeypatch.setattr(residency, "kernels", lambda: None)
    dense = load_model(directory, WorkerOptions(dtype="float32"))
    assert not any(isinstance(module, PackedLinear) for module in dense.model.modules())
    layers = [module for module in packed.model.modules() if isinstance(module, PackedLinear)]
    assert len(layers) == sum(name.endswith(".weight_packed") for name in index_tensors(directory))
    assert {layer.shape.bits for layer in layers} == WIDTHS[model]
    predicted = read_manifest(directory).total.resident_bytes["transformers"]
    # The manifest is of the stored bfloat16; what is dense here was widened to float32 on request.
    packed_bytes = sum(layer.packed.nbytes for layer in layers)
    assert packed_bytes < predicted < bytes_of(packed) < bytes_of(dense)
    gap = (logits(packed, TEXTS[model]) - logits(dense, TEXTS[model])).abs().max()
    assert float(gap) <= 1e-3


@pytest.mark.skipif(kernels() is None, reason="no C++ compiler, and no prebuilt library")
def test_memory_is_what_the_manifest_predicts(tmp_path: Path) -> None:
    directory = variant("tiny-llava", tmp_path)
    manifest = read_manifest(directory)
    found = tensor_bytes(load_model(directory, WorkerOptions()).model)
    assert set(found) == set(manifest.components) == set(COMPONENTS)
    for component, footprint in manifest.components.items():
        # Zero points take a byte each, and positions are buffers: some hundred bytes a layer.
        predicted = footprint.resident_bytes["transformers"]
        assert found[component] == pytest.approx(predicted, rel=0.04), component


@pytest.mark.skipif(kernels() is None, reason="no C++ compiler, and no prebuilt library")
def test_w8a8_layers_stay_in_8_bits_and_round_their_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"component": "vision", "bits": 8, "group_size": "channel", "activations": 8}
    document = {"name": "w8a8", "base": str(ZOO / "tiny-llava"), "rules": [rule]}
    directory = tmp_path / "variant"
    manifest = quantize(Plan.parse(document, source="test"), directory)
    packed = load_model(directory, WorkerOptions(dtype="float32"))
    monkeypatch.setattr(residency, "kernels", lambda: None)
    dense = load_model(directory, WorkerOptions(dtype="float32"))
    layers = {name: each for name, each in packed.model.named_modules() if isinstance(each, PackedLinear)}
    assert len(layers) == sum(record.activations == 8 for record in manifest.layers) > 0
    assert sum(each.packed.nbytes for each in layers.values()) == sum(
        record.shape[0] * record.shape[1] for record in manifest.layers if record.activations == 8
    )
    plain = logits(dense, TEXTS["tiny-llava"])
    for name in layers:
        dense.model.get_submodule(name).register_forward_pre_hook(lambda _, inputs: (rounded(inputs[0]),))
    expected, found = logits(dense, TEXTS["tiny-llava"]), logits(packed, TEXTS["tiny-llava"])
    # A tie that goes the other way is a 127th of a row's largest.
    assert float((found - expected).abs().max()) <= 0.1 * float((plain - expected).abs().max())


def rounded(x: torch.Tensor) -> torch.Tensor:
    """x [..., in] on 255 levels between its own extremes, symmetric."""
    scale = x.abs().amax(-1, keepdim=True).clamp(min=1e-12) / 127
    return (x / scale).round() * scale
