"""A weight matrix in the kernels' layout, and how it is made from compressed-tensors' pack-quantized tensors.

Repacking takes one layer's stored tensors and gives tensors of the same size (outputs padded to 16, inputs
to 32, zero points a byte each); nothing dense is ever made. Scales stay bfloat16 where they are, and are
float32 otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bitloom import packing
from bitloom.packing import MAX_BITS, MIN_BITS
from server.workers.kernels.library import GROUPS, KernelError, kernels

TILE = 16


@dataclass(frozen=True, slots=True)
class PackedShape:
    """What the bytes mean: weights [outputs, inputs] of `bits`; `group` inputs share a scale, 0: the row."""

    bits: int
    group: int
    outputs: int
    inputs: int


@dataclass(frozen=True, slots=True)
class PackedWeight:
    """`packed` uint8 [bytes]; `scales` bfloat16 or float32, `zero_points` uint8: both [tiles, groups, 16]."""

    packed: Tensor
    scales: Tensor
    zero_points: Tensor | None
    shape: PackedShape


def refusal(bits: int, group: int, inputs: int) -> str | None:
    """Why the kernels do not take such a layer; None where they do. A `group` of 0 or -1 is a whole row."""
    if not MIN_BITS <= bits <= MAX_BITS:
        return f"{bits} bits; the packed kernels take {MIN_BITS}..{MAX_BITS}"
    if group in (0, -1, inputs):
        return None
    if group not in GROUPS:
        return f"groups of {group}; the packed kernels take {', '.join(map(str, GROUPS))} or whole rows"
    if inputs % group:
        return f"groups of {group} do not divide {inputs} inputs"
    return None


def repack(words: Tensor, scales: Tensor, zero_points: Tensor | None, bits: int, inputs: int) -> PackedWeight:
    """From words int32 [out, ceil(in*bits/32)], scales [out, groups] and, where asymmetric, zero points
    int32 [ceil(out*bits/32), groups].

    Raises KernelError for widths, groups and shapes that are not taken, and for truncated tensors.
    """
    library = kernels()
    if library is None:
        raise KernelError("the packed kernels are not built")
    outputs, groups = scales.shape
    group = 0 if groups == 1 else inputs // max(groups, 1)
    reason = refusal(bits, group, inputs)
    if reason is None and groups != (inputs // group if group else 1):
        reason = f"{groups} scales a row do not fit {inputs} inputs"
    if reason is None and tuple(words.shape) != (outputs, packing.packed_words(inputs, bits)):
        reason = f"packed words of {tuple(words.shape)} are truncated or of another shape than {outputs} rows"
    if reason is not None:
        raise KernelError(reason)
    words = words.detach().contiguous()
    packed = torch.empty(library.packed_bytes(bits, outputs, inputs), dtype=torch.uint8)
    library.check(
        library.library.bl_repack(
            words.data_ptr(),
            words.shape[1],
            bits,
            outputs,
            inputs,
            packed.data_ptr(),
            packed.numel(),
            torch.get_num_threads(),
        )
    )
    zeros = None if zero_points is None else _tiled_zero_points(zero_points, bits, outputs, groups)
    shape = PackedShape(bits, group, outputs, inputs)
    return PackedWeight(packed, _tiled(_loaded(scales.detach())), zeros, shape)


def repack_int8(weight: Tensor, scales: Tensor) -> PackedWeight:
    """From the int8 weight [out, in] of a W8A8 layer and scales [out, 1]; KernelError as from `repack`."""
    if weight.dtype is not torch.int8 or scales.shape != (weight.shape[0], 1):
        raise KernelError(f"{weight.dtype} weights with scales of {tuple(scales.shape)} are not W8A8's")
    outputs, inputs = weight.shape
    words = packing.packed_words(inputs, 8)
    stored = torch.zeros(outputs, 4 * words, dtype=torch.uint8)
    stored[:, :inputs] = weight.detach().view(torch.uint8) ^ 128  # offset by 128, as pack-quantized has it
    return repack(stored.view(torch.int32), scales, None, 8, inputs)


def _loaded(scales: Tensor) -> Tensor:
    """Scales as the kernels read them: bfloat16 as it is, other types as float32. Decided by the type alone,
    so that a layer's tensors have one layout whatever is reloaded into them."""
    return scales if scales.dtype is torch.bfloat16 else scales.float()


def _tiled(rows: Tensor) -> Tensor:
    """[outputs, groups] as [tiles, groups, 16], what is padded being zero."""
    outputs, groups = rows.shape
    tiles = -(-outputs // TILE)
    padded = rows.new_zeros(tiles * TILE, groups)
    padded[:outputs] = rows
    return padded.view(tiles, TILE, groups).transpose(1, 2).contiguous()


def _tiled_zero_points(words: Tensor, bits: int, outputs: int, groups: int) -> Tensor:
    if tuple(words.shape) != (packing.packed_words(outputs, bits), groups):
        raise KernelError(f"zero points of {tuple(words.shape)} are truncated or of another shape")
    signed = packing.unpack_zero_points(words.detach().contiguous().numpy(), bits, outputs)
    offset = torch.from_numpy(signed).to(torch.int16) + (1 << (bits - 1))
    return _tiled(offset.to(torch.uint8))
