"""Artifacts as tensors in the store: integers packed densely, scales in the checkpoint's dtype."""

from __future__ import annotations

import torch
from torch import Tensor

from bitloom import packing
from quantize.calibration.statistics import InputStatistics, UnitStatistics
from quantize.device import CPU
from quantize.families.smoothing import Feeds
from quantize.methods import LayerStatistics, QuantizedWeight
from quantize.methods.smoothing import SettledPair
from quantize.store import ObjectStore, StoredObject

_DENSE = "dense."


def layer_tensors(quantized: QuantizedWeight, bits: int) -> dict[str, Tensor]:
    """Tensors of a quantized layer: packed words, scales, and zero points where it has some."""
    tensors = {
        "packed": torch.from_numpy(packing.pack(quantized.integers.cpu().numpy(), bits)),
        "scales": quantized.scales,
    }
    if quantized.zero_points is not None:
        tensors["zero_points"] = quantized.zero_points
    return tensors


def stored_layer(found: StoredObject, bits: int, in_features: int) -> QuantizedWeight:
    """The quantized layer of `layer_tensors`."""
    integers = packing.unpack(found.tensors["packed"].numpy(), bits, in_features)
    return QuantizedWeight(
        torch.from_numpy(integers), found.tensors["scales"], found.tensors.get("zero_points")
    )


def pair_tensors(settled: SettledPair) -> dict[str, Tensor]:
    """Tensors of a smoothing pair."""
    tensors = {"taken": settled.taken}
    if settled.rows is not None:
        tensors["rows"] = settled.rows
    return tensors | {f"{_DENSE}{name}": tensor for name, tensor in settled.dense.items()}


def stored_pair(pair: Feeds, found: StoredObject, device: torch.device = CPU) -> SettledPair:
    """The smoothing pair of `pair_tensors`, on a device."""
    tensors = {name: tensor.to(device) for name, tensor in found.tensors.items()}
    dense = {n.removeprefix(_DENSE): t for n, t in tensors.items() if n.startswith(_DENSE)}
    return SettledPair(pair, tensors["taken"], tensors.get("rows"), dense)


def put_statistics(store: ObjectStore, key: str, unit: str, statistics: UnitStatistics) -> None:
    """Store a unit's statistics."""
    tensors: dict[str, Tensor] = {}
    for owner, found in statistics.inputs.items():
        tensors[f"{owner}.hessian"] = found.fitting.hessian
        tensors[f"{owner}.magnitudes"] = found.fitting.magnitudes
        if found.held_out is not None:
            tensors[f"{owner}.held_out"] = found.held_out
    tokens = {owner: found.fitting.tokens for owner, found in statistics.inputs.items()}
    facts = {"kind": "statistics", "unit": unit, "owners": dict(statistics.owners), "tokens": tokens}
    store.put(key, tensors, facts)


def stored_statistics(found: StoredObject, device: torch.device = CPU) -> UnitStatistics:
    """The statistics of `put_statistics`, on a device."""
    tensors = {name: tensor.to(device) for name, tensor in found.tensors.items()}
    inputs = {
        owner: InputStatistics(
            LayerStatistics(tensors[f"{owner}.hessian"], tensors[f"{owner}.magnitudes"], tokens),
            tensors.get(f"{owner}.held_out"),
        )
        for owner, tokens in found.facts["tokens"].items()
    }
    return UnitStatistics(found.facts["owners"], inputs)
