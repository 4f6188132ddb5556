"""A variant read back to dense weights: the reference for tests, and what engines without kernels load.

numpy only, one tensor at a time. The float32 product of an integer of at most 8 bits and a scale of
at most 16 significant bits is exact; float32 scales round once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitloom import packing
from bitloom.tensors import TensorEntry, index_tensors, read_array
from bitloom.variant import LayerRecord, read_manifest

PACKED, SCALE, SHAPE, ZERO_POINT = "weight_packed", "weight_scale", "weight_shape", "weight_zero_point"
WEIGHT = "weight"
"""Of a layer with 8-bit activations, whose weights are int8 as they are."""
_PARAMETERS = frozenset({SCALE, SHAPE, ZERO_POINT})


def dequantized_state(directory: Path, without: Set[str] = frozenset()) -> Iterator[tuple[str, NDArray[Any]]]:
    """(name, array) of every weight of a variant, dense, in the base checkpoint's names and order.

    The packed weights of the layers named in `without` are left out, their biases are not.

    Floating-point tensors are float32. Raises VariantError without a valid manifest, CheckpointError
    where a weight file is damaged. Files are not hashed here; `bitloom.variant.verify_files` does that.
    """
    manifest = read_manifest(directory)
    layers = {record.name: record for record in manifest.layers}
    entries = index_tensors(directory)
    for name, entry in entries.items():
        module, _, parameter = name.rpartition(".")
        if parameter in _PARAMETERS or (parameter in (PACKED, WEIGHT) and module in without):
            continue
        if parameter == PACKED:
            yield f"{module}.weight", _unpack_layer(entries, module, layers[module])
        elif entry.dtype == "I8" and module in layers:
            yield name, packing.dequantize(read_array(entry), read_array(entries[f"{module}.{SCALE}"]))
        else:
            array = read_array(entry)
            yield name, array.astype(np.float32) if array.dtype == np.float16 else array


def _unpack_layer(
    entries: Mapping[str, TensorEntry], module: str, record: LayerRecord
) -> NDArray[np.float32]:
    out_features, in_features = record.shape
    bits = record.container_bits or record.bits
    integers = packing.unpack(read_array(entries[f"{module}.{PACKED}"]), bits, in_features)
    zero_points = None
    if not record.symmetric:
        words = read_array(entries[f"{module}.{ZERO_POINT}"])
        zero_points = packing.unpack_zero_points(words, bits, out_features)
    return packing.dequantize(integers, read_array(entries[f"{module}.{SCALE}"]), zero_points)
