"""How much memory quantizing a plan takes at its peak, from shapes alone.

Beside the interpreter with torch (about 0.4 GB) and, where samples are run, their activations. Rounding to
nearest holds one tensor; calibration one unit: its weights twice in float32 (as the model runs them, as the
methods read them), two Hessians for each distinct input (to learn from, held out), the factorisation, the
walk's four arrays, and all that lies outside the units.
"""

from __future__ import annotations

from collections.abc import Iterable

from quantize.calibration.units import Unit, list_units
from quantize.checkpoint import Checkpoint
from quantize.layers import Layer
from quantize.options import WALK_WEIGHTS
from quantize.resolve import ResolvedLayer
from quantize.write.layout import OutputTensor

_FLOAT = 4
_PACKING = 5  # bytes a weight: integers, offset integers, words


def peak_bytes(
    checkpoint: Checkpoint, layers: Iterable[ResolvedLayer], outputs: Iterable[OutputTensor]
) -> int:
    """An estimate in bytes; calibration counts where a layer's method learns from data."""
    writing = max(output.entry.size + _PACKING * output.entry.count for output in outputs)
    if all(layer.scheme is None or layer.scheme.method == "rtn" for layer in layers):
        return writing
    units = list_units(checkpoint)
    inside = {f"{layer.name}.weight" for unit in units for layer in unit.layers}
    outside = sum(entry.count for name, entry in checkpoint.tensors.items() if name not in inside)
    return max(writing, _FLOAT * (outside + max(_unit_floats(unit) for unit in units if unit.layers)))


def _unit_floats(unit: Unit) -> int:
    """Float32 numbers alive while a unit is calibrated and quantized."""
    weights = [layer.shape[0] * layer.shape[1] for layer in unit.layers]
    inputs = _distinct_inputs(unit.layers)
    factor = 3 * max(inputs) ** 2
    return (
        2 * sum(weights)
        + 2 * sum(width**2 for width in inputs)
        + factor
        + 4 * min(max(weights), WALK_WEIGHTS)
    )


def _distinct_inputs(layers: Iterable[Layer]) -> list[int]:
    """Widths of a unit's inputs; fused siblings share theirs."""
    owners = {layer.siblings or (layer.name,): layer.shape[1] for layer in layers}
    return list(owners.values())
