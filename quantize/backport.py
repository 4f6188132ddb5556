"""Dense unpacking for compressed-tensors 0.17, so that stock transformers loads every width.

vLLM 0.32 pins compressed-tensors 0.17, which pads 3-, 5-, 6- and 7-bit values to whole words, while
vLLM itself, and compressed-tensors from 0.18 on, pack them densely (docs/adr/0001-dense-packing.md).
`install()` gives 0.17 the packing functions of 0.18; for 2, 4 and 8 bits nothing changes. Loading into
the transformers of another environment needs compressed-tensors >= 0.18, and nothing of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from compressed_tensors.compressors.pack_quantized import base as packed_format
from compressed_tensors.compressors.pack_quantized import helpers
from torch import Tensor

from bitloom import packing


def install() -> None:
    """Replace the two packing functions of compressed-tensors by dense ones; harmless when repeated."""
    for module in (packed_format, helpers):
        module.pack_to_int32 = pack_to_int32
        module.unpack_from_int32 = unpack_from_int32


def pack_to_int32(value: Tensor, num_bits: int, packed_dim: Literal[0, 1] = 1) -> Tensor:
    """Words int32 of integers int8 [rows, cols], packed along `packed_dim`; meta tensors stay meta."""
    rows = value.shape[packed_dim - 1]
    words = packing.packed_words(value.shape[packed_dim], num_bits)
    if value.device.type == "meta":
        shape = (rows, words) if packed_dim == 1 else (words, rows)
        return torch.empty(shape, dtype=torch.int32, device="meta")
    integers = np.ascontiguousarray(_oriented(value, packed_dim).cpu().numpy())
    packed = torch.from_numpy(packing.pack(integers, num_bits)).to(value.device)
    return _oriented(packed, packed_dim)


def unpack_from_int32(
    value: Tensor, num_bits: int, shape: Sequence[int], packed_dim: Literal[0, 1] = 1
) -> Tensor:
    """Integers int8 of shape `shape` from words packed along `packed_dim`."""
    if value.device.type == "meta":
        return torch.empty(tuple(int(side) for side in shape), dtype=torch.int8, device="meta")
    words = np.ascontiguousarray(_oriented(value, packed_dim).cpu().numpy())
    integers = torch.from_numpy(packing.unpack(words, num_bits, int(shape[packed_dim])))
    return _oriented(integers.to(value.device), packed_dim)


def _oriented(tensor: Tensor, packed_dim: Literal[0, 1]) -> Tensor:
    return tensor if packed_dim == 1 else tensor.t().contiguous()
