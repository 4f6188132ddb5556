"""What a variant's files will hold, known before any weight is read: names, dtypes, shapes, bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bitloom.dequantize import PACKED, SCALE, SHAPE, ZERO_POINT
from bitloom.packing import packed_words
from bitloom.tensors import DTYPE_BYTES, TensorEntry
from quantize.checkpoint import Checkpoint
from quantize.resolve import ResolvedLayer
from quantize.scheme import Scheme


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor to be written: name, safetensors dtype, shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the tensor."""
        return DTYPE_BYTES[self.dtype] * math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """What becomes of one tensor of the checkpoint. `layer` is set where it is a planned layer's weight."""

    name: str
    entry: TensorEntry
    layer: ResolvedLayer | None
    specs: tuple[TensorSpec, ...]

    @property
    def stored_bytes(self) -> int:
        """Bytes that the file holds for it."""
        return sum(spec.size for spec in self.specs)

    @property
    def resident_bytes(self) -> int:
        """Bytes that an engine with a kernel for its width keeps: the recorded shape is not kept."""
        return sum(spec.size for spec in self.specs if not spec.name.endswith(SHAPE))


def plan_outputs(checkpoint: Checkpoint, layers: tuple[ResolvedLayer, ...]) -> tuple[OutputTensor, ...]:
    """Every tensor of the variant, in the checkpoint's order."""
    by_weight: Mapping[str, ResolvedLayer] = {f"{layer.name}.weight": layer for layer in layers}
    outputs = []
    for name, entry in checkpoint.tensors.items():
        layer = by_weight.get(name)
        if layer is not None and layer.packed_scheme is not None:
            specs = layer_specs(layer, layer.packed_scheme)
        else:
            specs = (TensorSpec(name, entry.dtype, entry.shape),)
        outputs.append(OutputTensor(name, entry, layer, specs))
    return tuple(outputs)


def layer_specs(layer: ResolvedLayer, scheme: Scheme) -> tuple[TensorSpec, ...]:
    """Tensors of a quantized layer: W8A8 keeps int8 weights, everything else a dense bit stream."""
    rows, cols = layer.shape
    groups = scheme.groups(cols)
    scales = TensorSpec(f"{layer.name}.{SCALE}", layer.dtype, (rows, groups))
    if scheme.activations == 8:
        return TensorSpec(f"{layer.name}.weight", "I8", (rows, cols)), scales
    bits = scheme.stored_bits
    specs = (
        TensorSpec(f"{layer.name}.{PACKED}", "I32", (rows, packed_words(cols, bits))),
        scales,
        TensorSpec(f"{layer.name}.{SHAPE}", "I64", (2,)),
    )
    if scheme.symmetric:
        return specs
    return (*specs, TensorSpec(f"{layer.name}.{ZERO_POINT}", "I32", (packed_words(rows, bits), groups)))
