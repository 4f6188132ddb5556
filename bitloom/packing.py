"""Dense packing of 2..8-bit integers into 32-bit words, and back; numpy only, so that any room can use it.

A row is one little-endian bit stream: value j holds bits [j*b, (j+1)*b), whatever word borders they
cross. So `cols` values take ceil(cols*b/32) words, which is what vLLM 0.32 allocates. For 2, 4 and 8
bits the bytes are those of compressed-tensors' `pack_to_int32`; for 3, 5, 6 and 7 they are those of
compressed-tensors >= 0.18 (0.17 pads each word instead). See docs/adr/0001-dense-packing.md.

Values are signed, in [-2^(b-1), 2^(b-1)); the stream holds them offset by 2^(b-1). Eight values are
exactly b bytes, so both directions work on one 64-bit integer per eight values: about two bytes of
temporary memory a value, and no per-bit array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_BITS, MAX_BITS = 2, 8
_LANE = 8
Integers = NDArray[np.int8]
Words = NDArray[np.int32]


def packed_words(count: int, bits: int) -> int:
    """Number of 32-bit words that `count` values of `bits` bits take."""
    return -(-count * bits // 32)


def pack(values: Integers, bits: int) -> Words:
    """Pack signed integers [rows, cols] into words [rows, ceil(cols*bits/32)].

    Raises ValueError for bits outside 2..8, or a value outside [-2^(bits-1), 2^(bits-1)).
    """
    _check_bits(bits)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        raise ValueError(
            f"values span {values.min()}..{values.max()}, but {bits} bits hold only {low}..{high}"
        )
    rows, cols = values.shape
    lanes = -(-cols // _LANE)
    unsigned = np.zeros((rows, lanes * _LANE), dtype=np.uint8)
    # int8 + offset may pass 127, so the sum is taken in uint8, where it wraps to the right value.
    np.add(values.view(np.uint8), np.uint8(1 << (bits - 1)), out=unsigned[:, :cols])
    merged = np.zeros((rows, lanes), dtype="<u8")
    for lane in range(_LANE):
        merged |= unsigned[:, lane::_LANE].astype("<u8") << np.uint64(lane * bits)
    stream = merged.view(np.uint8).reshape(rows, lanes, _LANE)[:, :, :bits].reshape(rows, lanes * bits)
    size = 4 * packed_words(cols, bits)
    packed = np.zeros((rows, size), dtype=np.uint8)
    used = min(size, stream.shape[1])
    packed[:, :used] = stream[:, :used]
    return packed.view("<i4").astype(np.int32, copy=False)


def unpack(words: Words, bits: int, cols: int) -> Integers:
    """Signed integers [rows, cols] of words [rows, ceil(cols*bits/32)]; ValueError where they do not fit."""
    _check_bits(bits)
    rows = words.shape[0]
    if words.shape[1] != packed_words(cols, bits):
        raise ValueError(
            f"{words.shape[1]} words a row, but {cols} values of {bits} bits take {packed_words(cols, bits)}"
        )
    lanes = -(-cols // _LANE)
    stream = np.ascontiguousarray(words, dtype="<i4").view(np.uint8).reshape(rows, -1)
    padded = np.zeros((rows, lanes * bits), dtype=np.uint8)
    used = min(lanes * bits, stream.shape[1])
    padded[:, :used] = stream[:, :used]
    merged_bytes = np.zeros((rows, lanes, _LANE), dtype=np.uint8)
    merged_bytes[:, :, :bits] = padded.reshape(rows, lanes, bits)
    merged = merged_bytes.reshape(rows, lanes * _LANE).view("<u8")
    mask = np.uint64((1 << bits) - 1)
    values = np.empty((rows, lanes * _LANE), dtype=np.uint8)
    for lane in range(_LANE):
        values[:, lane::_LANE] = (merged >> np.uint64(lane * bits)) & mask
    values -= np.uint8(1 << (bits - 1))
    return np.ascontiguousarray(values[:, :cols]).view(np.int8)


def pack_zero_points(zero_points: Integers, bits: int) -> Words:
    """Pack zero points [out, groups] along `out`, as engines expect: words [ceil(out*bits/32), groups]."""
    return np.ascontiguousarray(pack(np.ascontiguousarray(zero_points.T), bits).T)


def unpack_zero_points(words: Words, bits: int, out_features: int) -> Integers:
    """Zero points [out, groups] of words [ceil(out*bits/32), groups]."""
    return np.ascontiguousarray(unpack(np.ascontiguousarray(words.T), bits, out_features).T)


def dequantize(
    integers: Integers, scales: NDArray[Any], zero_points: Integers | None = None
) -> NDArray[np.float32]:
    """(q - z) * s in float32: integers [out, in], scales and zero points [out, groups] -> [out, in]."""
    rows, cols = integers.shape
    groups = scales.shape[1]
    grouped = integers.reshape(rows, groups, cols // groups).astype(np.float32)
    if zero_points is not None:
        grouped -= zero_points[:, :, None].astype(np.float32)
    grouped *= scales[:, :, None].astype(np.float32)
    return grouped.reshape(rows, cols)


def _check_bits(bits: int) -> None:
    if not MIN_BITS <= bits <= MAX_BITS:
        raise ValueError(f"bits must be {MIN_BITS}..{MAX_BITS}, not {bits}")
