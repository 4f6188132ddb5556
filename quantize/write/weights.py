"""The weights of a variant: one tensor after another, from a source into shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bitloom import packing
from bitloom.dequantize import PACKED, SCALE, SHAPE, ZERO_POINT
from bitloom.variant import LayerRecord
from quantize.errors import QuantizationError
from quantize.methods import QuantizedWeight
from quantize.resolve import ResolvedLayer
from quantize.scheme import Scheme
from quantize.source import QuantizedLayer, TensorSource
from quantize.write.layout import OutputTensor
from quantize.write.shards import MAX_SHARD_BYTES, ShardWriter

LayerListener = Callable[[LayerRecord], None]


def write_weights(
    directory: Path,
    outputs: tuple[OutputTensor, ...],
    source: TensorSource,
    on_layer: LayerListener,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> tuple[LayerRecord, ...]:
    """Write every tensor of `outputs` into `directory`; the record of each layer, in their order."""
    records = []
    specs = [spec for output in outputs for spec in output.specs]
    with ShardWriter(directory, specs, max_shard_bytes) as shards:
        for output in outputs:
            layer = output.layer
            if layer is None or layer.scheme is None:
                shards.write(output.name, _as_bytes(source.dense(output.name)))
                error: QuantizedLayer | None = None
            else:
                error = _write_layer(shards, layer, layer.scheme, source)
            if layer is not None:
                records.append(_record(layer, output.stored_bytes, error))
                on_layer(records[-1])
    return tuple(records)


def _write_layer(
    shards: ShardWriter, layer: ResolvedLayer, scheme: Scheme, source: TensorSource
) -> QuantizedLayer:
    quantized = source.quantized(layer)
    weight = quantized.weight
    if not bool(torch.isfinite(weight.scales).all()):
        raise QuantizationError(
            f"{layer.name}: a scale is not finite in {scheme.scale_dtype}; its weights are too large for it"
        )
    if layer.stored_dense:
        dense = weight.dequantize().to(weight.scales.dtype)
        shards.write(f"{layer.name}.weight", _as_bytes(dense))
    elif scheme.activations == 8:
        shards.write(f"{layer.name}.weight", weight.integers.numpy())
        shards.write(f"{layer.name}.{SCALE}", _as_bytes(weight.scales))
    else:
        _write_packed(shards, layer, weight, scheme.stored_bits)
    return quantized


def _write_packed(shards: ShardWriter, layer: ResolvedLayer, weight: QuantizedWeight, bits: int) -> None:
    shards.write(f"{layer.name}.{PACKED}", packing.pack(weight.integers.numpy(), bits))
    shards.write(f"{layer.name}.{SCALE}", _as_bytes(weight.scales))
    shards.write(f"{layer.name}.{SHAPE}", np.array(layer.shape, dtype="<i8"))
    if weight.zero_points is not None:
        zero_points = packing.pack_zero_points(weight.zero_points.numpy(), bits)
        shards.write(f"{layer.name}.{ZERO_POINT}", zero_points)


def _record(layer: ResolvedLayer, stored_bytes: int, quantized: QuantizedLayer | None) -> LayerRecord:
    scheme = layer.scheme
    return LayerRecord(
        name=layer.name,
        component=layer.component,
        block=layer.block,
        layer_type=layer.layer_type,
        shape=layer.shape,
        bits=16 if scheme is None else scheme.bits,
        method=None if scheme is None else scheme.method,
        group_size=None if scheme is None else scheme.group_size,
        symmetric=True if scheme is None else scheme.symmetric,
        activations=16 if scheme is None else scheme.activations,
        container_bits=None if layer.packed_scheme is None else layer.packed_scheme.container_bits,
        stored_bytes=stored_bytes,
        relative_error=None if quantized is None else quantized.relative_error,
        relative_output_error=None if quantized is None else quantized.relative_output_error,
        stored_dense=layer.stored_dense,
    )


def _as_bytes(tensor: Tensor) -> NDArray[Any]:
    """The tensor's own bytes; numpy knows no bfloat16, so they are viewed as uint8."""
    flat = tensor.contiguous().view(-1)
    array: NDArray[Any] = flat.view(torch.uint8).numpy()
    return array
