"""Stock transformers finds every weight of a variant and unpacks it to the reference."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from bitloom.dequantize import dequantized_state
from bitloom.plan import Plan
from quantize.checkpoint import open_checkpoint
from quantize.families import FAMILIES
from quantize.pipeline import quantize
from quantize.reading import read_tensor

# what transformers and compressed-tensors warn of while they are imported is not ours to mend
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

STOCK = [
    {"component": "vision", "bits": 8, "group_size": 32},
    {"component": "vision", "layers": "mlp", "bits": 5, "container_bits": 8},
    {"component": "language", "bits": 4, "group_size": 64, "symmetric": False},
    {"component": "language", "blocks": "front", "bits": 2, "group_size": "channel"},
    {"component": "language", "blocks": "end", "bits": 3, "container_bits": 4},
]
ALL_WIDTHS = [
    {"component": "vision", "bits": 8, "group_size": 64},
    {"component": "vision", "blocks": "front", "bits": 7, "group_size": 32},
    {"component": "connector", "bits": 5, "group_size": "channel"},
    {"component": "language", "bits": 6, "group_size": 64},
    {"component": "language", "blocks": "front", "layers": "attention", "bits": 3, "symmetric": False},
    {"component": "language", "blocks": "middle", "layers": "mlp", "bits": 4},
    {"component": "language", "blocks": "end", "bits": 2},
]


def write_variant(base: Path, out: Path, rules: list[dict[str, Any]]) -> Path:
    quantize(Plan.parse({"name": "p", "base": str(base), "rules": rules}, source="plan"), out)
    return out


def load_state(directory: Path) -> dict[str, torch.Tensor]:
    """Weights by written name, as `from_pretrained` and compressed-tensors unpack them, in bfloat16."""
    from compressed_tensors.compressors.base import decompress_module
    from transformers import AutoModelForImageTextToText

    model, info = AutoModelForImageTextToText.from_pretrained(directory, output_loading_info=True)
    assert not any(info.values()), info
    for module in model.modules():
        decompress_module(module)
    (family,) = (family for family in FAMILIES if type(model).__name__ in family.architectures)
    return {family.written_name(name): tensor for name, tensor in model.state_dict().items()}


def assert_same_weights(directory: Path) -> None:
    loaded = load_state(directory)
    for name, expected in dequantized_state(directory):
        assert loaded[name].dtype == torch.bfloat16
        assert torch.equal(loaded[name], torch.from_numpy(expected).to(torch.bfloat16)), name


@pytest.fixture
def dense_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backport, for one test; compressed-tensors is imported here, where its warnings are ignored."""
    for module_name in ("base", "helpers"):
        module = importlib.import_module(f"compressed_tensors.compressors.pack_quantized.{module_name}")
        for name in ("pack_to_int32", "unpack_from_int32"):
            monkeypatch.setattr(module, name, getattr(module, name))
    importlib.import_module("quantize.backport").install()


@pytest.mark.parametrize("base", ["llava_base", "blip2_base"])
def test_the_bases_of_these_tests_are_complete(base: str, request: pytest.FixtureRequest) -> None:
    directory: Path = request.getfixturevalue(base)
    loaded = load_state(directory)
    for name, entry in open_checkpoint(str(directory)).tensors.items():
        assert torch.equal(loaded[name], read_tensor(entry)), name


def test_widths_that_fill_words_load_in_stock_transformers(llava_base: Path, tmp_path: Path) -> None:
    assert_same_weights(write_variant(llava_base, tmp_path / "v", STOCK))


@pytest.mark.usefixtures("dense_packing")
@pytest.mark.parametrize("base", ["llava_base", "blip2_base"])
def test_all_widths_load_with_dense_packing(
    base: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert_same_weights(write_variant(request.getfixturevalue(base), tmp_path / "v", ALL_WIDTHS))


def test_without_dense_packing_the_first_forward_fails(llava_base: Path, tmp_path: Path) -> None:
    rules = [{"component": "connector", "bits": 3, "group_size": 32}]
    loaded = load_state(write_variant(llava_base, tmp_path / "v", rules))
    # compressed-tensors 0.17 finds ten values in each word, and so too few: never wrong answers
    weight = loaded["multi_modal_projector.linear_1.weight"]
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        torch.nn.functional.linear(torch.zeros((1, 128), dtype=weight.dtype), weight)
