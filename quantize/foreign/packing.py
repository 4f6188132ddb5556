"""How AutoAWQ and GPTQ checkpoints hold integers: 32-bit words, transposed and shuffled.

Both are the dense bit stream of `bitloom.packing`, over another axis:

    GPTQ  qweight [in*bits/32, out]  along the inputs;  qzeros [groups, out*bits/32]  along the outputs,
    AWQ   qweight [in, out/8]        along the outputs; qzeros [groups, out/8]        along the outputs,

scales [groups, out] in both. AWQ stores, of each eight outputs, number `AWQ_ORDER[i]` at place i
(AutoAWQ, `awq/utils/packing_utils.py`). GPTQ's format `gptq` stores zero points less one, `gptq_v2` as
they are (GPTQModel, `utils/model.py`, `convert_gptq_v1_to_v2_format`).

Here integers and zero points are signed, as everywhere in Bitloom; the words hold them plus 2^(bits-1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitloom import packing
from bitloom.packing import Integers, Words

AWQ_BITS = 4
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
GPTQ_BITS = (2, 3, 4, 8)
"""Widths that the GPTQ format defines."""


def pack_gptq(integers: Integers, bits: int) -> Words:
    """qweight [in*bits/32, out] of integers [out, in]."""
    return np.ascontiguousarray(packing.pack(integers, bits).T)


def unpack_gptq(qweight: Words, bits: int, inputs: int) -> Integers:
    """Integers [out, in] of `pack_gptq`."""
    return packing.unpack(np.ascontiguousarray(qweight.T), bits, inputs)


def pack_gptq_zeros(zero_points: Integers, bits: int, *, less_one: bool) -> Words:
    """qzeros [groups, out*bits/32] of zero points [out, groups]."""
    shifted = _wrapped(zero_points.astype(np.int16) - int(less_one), bits)
    return packing.pack(np.ascontiguousarray(shifted.T), bits)


def unpack_gptq_zeros(qzeros: Words, bits: int, outputs: int, *, less_one: bool) -> Integers:
    """Zero points [out, groups] of `pack_gptq_zeros`."""
    stored = packing.unpack(qzeros, bits, outputs).T
    return np.ascontiguousarray(_wrapped(stored.astype(np.int16) + int(less_one), bits))


def pack_awq(values: Integers) -> Words:
    """qweight [in, out/8] of integers [out, in], or qzeros [groups, out/8] of zero points [out, groups]."""
    columns = values.T
    shuffled = columns.reshape(columns.shape[0], -1, len(AWQ_ORDER))[:, :, list(AWQ_ORDER)]
    return packing.pack(np.ascontiguousarray(shuffled.reshape(columns.shape)), AWQ_BITS)


def unpack_awq(words: Words) -> Integers:
    """Integers [out, in] (or zero points [out, groups]) of `pack_awq`."""
    outputs = words.shape[1] * len(AWQ_ORDER)
    shuffled = packing.unpack(words, AWQ_BITS, outputs).reshape(words.shape[0], -1, len(AWQ_ORDER))
    columns = np.empty_like(shuffled)
    columns[:, :, list(AWQ_ORDER)] = shuffled
    return np.ascontiguousarray(columns.reshape(words.shape[0], outputs).T)


def _wrapped(values: NDArray[Any], bits: int) -> Integers:
    """Values modulo 2^bits, in [-2^(bits-1), 2^(bits-1))."""
    half = 1 << (bits - 1)
    return (((values + half) & (2 * half - 1)) - half).astype(np.int8)
