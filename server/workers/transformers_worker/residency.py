"""Quantized layers of a variant that stay packed in memory: Linears replaced before anything dense is made.

The model's class is instantiated with places where the packed Linears would be, so that transformers loads
the other weights and biases as it does always; then each place gets its layer, one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bitloom.dequantize import PACKED, SCALE, WEIGHT, ZERO_POINT
from bitloom.tensors import TensorEntry, index_tensors, read_array
from bitloom.variant import LayerRecord, read_manifest
from server.workers.kernels.library import kernels
from server.workers.kernels.linear import PackedLinear
from server.workers.kernels.packed import PackedWeight, refusal, repack, repack_int8

# Parts of module names by which checkpoints and transformers' classes differ.
_OPTIONAL_PARTS = frozenset({"model", "vision_model", "language_model"})


class Place(nn.Module):
    """Stands where a packed Linear will; holds its bias, which transformers loads."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.shape = (linear.out_features, linear.in_features)
        self.register_parameter("bias", linear.bias)


class Residency:
    """The layers of one variant that can stay packed, by their checkpoint names."""

    def __init__(self, directory: Path, config: Any) -> None:
        self._entries: Mapping[str, TensorEntry] = index_tensors(directory)
        self._layers = _packable(directory, self._entries, config)
        self._placed: dict[str, str] = {}

    def class_with_places(self, model_class: type[nn.Module]) -> type[nn.Module]:
        """A class like `model_class` whose instances have places for the packed layers."""

        def initialize(model: nn.Module, *arguments: Any, **options: Any) -> None:
            model_class.__init__(model, *arguments, **options)
            self._make_places(model)

        # transformers finds how checkpoints' names differ from modules' by the class's name.
        members = {"__init__": initialize, "__module__": model_class.__module__}
        return type(model_class.__name__, (model_class,), members)

    def find_places(self, model_class: type[nn.Module], config: Any) -> frozenset[str]:
        """Checkpoint names of the layers that an instance of `class_with_places` keeps packed."""
        with torch.device("meta"):
            model_class(config)
        return frozenset(self._placed.values())

    def fill(self, model: nn.Module) -> None:
        """Put the packed layers into their places; CheckpointError, KernelError where a tensor is damaged."""
        for module_name, layer_name in self._placed.items():
            place = model.get_submodule(module_name)
            assert isinstance(place, Place)
            bias = place.get_parameter("bias") if place.bias is not None else None
            record = self._layers[layer_name]
            is_w8a8 = record.activations == 8
            model.set_submodule(module_name, PackedLinear(self._repacked(record), bias, int8=is_w8a8))

    def _repacked(self, record: LayerRecord) -> PackedWeight:
        name, scales = record.name, self._tensor(record.name, SCALE)
        if record.activations == 8:
            return repack_int8(self._tensor(name, WEIGHT), scales)
        zero_points = None if record.symmetric else self._tensor(name, ZERO_POINT)
        bits = record.container_bits or record.bits
        return repack(self._tensor(name, PACKED), scales, zero_points, bits, record.shape[1])

    def _make_places(self, model: nn.Module) -> None:
        by_key: dict[str, list[str]] = {}
        for name in self._layers:
            by_key.setdefault(_key(name), []).append(name)
        linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
        keys = [_key(name) for name in linears]
        self._placed.clear()
        for name, linear in linears.items():
            found = by_key.get(_key(name), [])
            # What cannot be told apart, or has another shape, is loaded dense as before.
            if len(found) != 1 or keys.count(_key(name)) != 1:
                continue
            if tuple(self._layers[found[0]].shape) == (linear.out_features, linear.in_features):
                model.set_submodule(name, Place(linear))
                self._placed[name] = found[0]

    def _tensor(self, layer: str, parameter: str) -> Tensor:
        entry = self._entries[f"{layer}.{parameter}"]
        tensor = torch.from_numpy(read_array(entry))
        return (
            tensor.to(torch.bfloat16) if entry.dtype == "BF16" else tensor
        )  # numpy has no bfloat16: it was widened


def _packable(directory: Path, entries: Mapping[str, TensorEntry], config: Any) -> dict[str, LayerRecord]:
    if kernels() is None:
        return {}
    text = config.get_text_config()
    is_tied = bool(
        getattr(config, "tie_word_embeddings", False) or getattr(text, "tie_word_embeddings", False)
    )
    found = {}
    for record in read_manifest(directory).layers:
        stored = WEIGHT if record.activations == 8 else PACKED
        if f"{record.name}.{stored}" not in entries or f"{record.name}.{SCALE}" not in entries:
            continue
        if is_tied and record.layer_type == "head":
            continue
        bits, inputs = record.container_bits or record.bits, record.shape[1]
        groups = entries[f"{record.name}.{SCALE}"].shape[1]
        if refusal(bits, inputs // groups, inputs) is None:
            found[record.name] = record
    return found


def _key(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _OPTIONAL_PARTS)
