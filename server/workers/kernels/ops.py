"""torch operators on packed weights, `torch.ops.bitloom.packed_linear` and `.packed_dequantize`.

They have fake implementations, so that compiled and exported graphs hold them. Tensors are those of
`PackedWeight`; a group of 0 means that a row has one scale. Threads are torch's own count.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import torch
from torch import Tensor

from server.workers.kernels.crossover import Activations, by_gemm, gemm_type
from server.workers.kernels.library import (
    BFLOAT16,
    EXACT,
    FLOAT32,
    INT8,
    ISAS,
    CWeight,
    KernelError,
    Kernels,
    kernels,
)

DENSE_BYTES = 4 << 20  # of weights that are dense at a time where the platform's GEMM is used
TILE = 16


@functools.cache
def operators() -> Any:
    """Define the operators, once a process; the torch.library.Library that holds them."""
    library: Any = torch.library.Library("bitloom", "DEF")  # type: ignore[no-untyped-call]
    weight = "Tensor packed, Tensor scales, Tensor? zero_points, int bits, int group, int outputs, int inputs"
    library.define(f"packed_linear(Tensor x, {weight}, Tensor? bias, bool int8) -> Tensor")
    library.define(f"packed_dequantize({weight}) -> Tensor")
    library.impl("packed_linear", packed_linear, "CPU")
    library.impl("packed_dequantize", packed_dequantize, "CPU")
    torch.library.register_fake("bitloom::packed_linear", _fake_linear, lib=library)
    torch.library.register_fake("bitloom::packed_dequantize", _fake_dequantize, lib=library)
    return library


def packed_linear(
    x: Tensor,
    packed: Tensor,
    scales: Tensor,
    zero_points: Tensor | None,
    bits: int,
    group: int,
    outputs: int,
    inputs: int,
    bias: Tensor | None,
    int8: bool,
) -> Tensor:
    """x [..., inputs] of float32, bfloat16, float16 -> [..., outputs] of that type; bias float32 [outputs].

    With `int8` activations are rounded to 8 bits a group first (a row, where `group` is 0). KernelError for
    tensors of another shape.
    """
    if x.dtype is torch.float16:  # no instruction set here computes in it
        wide = packed_linear(x.float(), packed, scales, zero_points, bits, group, outputs, inputs, bias, int8)
        return wide.to(torch.float16)
    if x.dtype not in (torch.float32, torch.bfloat16):
        raise KernelError(f"activations of {x.dtype}; float32, bfloat16 and float16 are taken")
    if x.shape[-1] != inputs:
        raise KernelError(f"activations of {x.shape[-1]} features for weights of {inputs}")
    library = _library()
    weight = c_weight(packed, scales, zero_points, bias, bits, group, outputs, inputs)
    flat = x.reshape(-1, inputs)
    if flat.stride(-1) != 1:
        flat = flat.contiguous()
    rows = flat.shape[0]
    y = x.new_empty(rows, outputs)
    if by_gemm(ISAS[library.isa], _activations(x, int8), rows):
        _by_gemm(library, weight, flat, bias, y)
        return y.view(*x.shape[:-1], outputs)
    kind = BFLOAT16 if x.dtype is torch.bfloat16 else FLOAT32
    code = library.library.bl_linear(
        weight,
        flat.data_ptr(),
        max(flat.stride(0), inputs),
        rows,
        y.data_ptr(),
        outputs,
        kind,
        INT8 if int8 else EXACT,
        library.isa,
        torch.get_num_threads(),
    )
    library.check(code)
    return y.view(*x.shape[:-1], outputs)


def packed_dequantize(
    packed: Tensor,
    scales: Tensor,
    zero_points: Tensor | None,
    bits: int,
    group: int,
    outputs: int,
    inputs: int,
) -> Tensor:
    """Dense float32 weights [outputs, inputs]."""
    library = _library()
    weight = c_weight(packed, scales, zero_points, None, bits, group, outputs, inputs)
    dense = torch.empty(outputs, inputs, dtype=torch.float32)
    _dequantize(library, weight, 0, dense)
    return dense


def c_weight(
    packed: Tensor,
    scales: Tensor,
    zero_points: Tensor | None,
    bias: Tensor | None,
    bits: int,
    group: int,
    outputs: int,
    inputs: int,
) -> CWeight:
    """The C view of a weight; KernelError where a tensor is not what the shape says: no read goes astray."""
    count = -(-outputs // TILE) * TILE * (inputs // group if group else 1)
    for name, tensor, size, dtypes in (
        ("packed", packed, packed.numel(), (torch.uint8,)),  # its size is checked by the library
        ("scales", scales, count, (torch.bfloat16, torch.float32)),
        ("zero_points", zero_points, count, (torch.uint8,)),
        ("bias", bias, outputs, (torch.float32,)),
    ):
        if tensor is None:
            continue
        if tensor.dtype not in dtypes or tensor.numel() != size or not tensor.is_contiguous():
            raise KernelError(
                f"{name}: {tuple(tensor.shape)} of {tensor.dtype}; {size} contiguous {dtypes} expected"
            )
    return CWeight(
        packed.data_ptr(),
        scales.data_ptr(),
        None if zero_points is None else zero_points.data_ptr(),
        None if bias is None else bias.data_ptr(),
        packed.numel(),
        outputs,
        inputs,
        bits,
        group,
        scales.dtype is torch.bfloat16,
    )


def _library() -> Kernels:
    library = kernels()
    if library is None:
        raise KernelError("the packed kernels are not built")
    return library


def _activations(x: Tensor, int8: bool) -> Activations:
    if int8:
        return "int8"
    return "bfloat16" if x.dtype is torch.bfloat16 else "float32"


def _by_gemm(library: Kernels, weight: CWeight, x: Tensor, bias: Tensor | None, y: Tensor) -> None:
    """y = x W^T + bias with a few outputs' weights dense at a time, in `gemm_type`."""
    wide = x.to(gemm_type(x))
    step = max(TILE, DENSE_BYTES // (4 * weight.inputs) // TILE * TILE)
    dense = torch.empty(min(step, weight.outputs), weight.inputs, dtype=torch.float32)
    for first in range(0, weight.outputs, step):
        part = dense[: min(step, weight.outputs - first)]
        _dequantize(library, weight, first, part)
        product = (wide @ part.to(wide.dtype).t()).float()
        if bias is not None:
            product += bias[first : first + part.shape[0]]
        y[:, first : first + part.shape[0]] = product


def _dequantize(library: Kernels, weight: CWeight, first: int, dense: Tensor) -> None:
    pointer = ctypes.byref(weight)
    threads = torch.get_num_threads()
    library.check(
        library.library.bl_dequantize(pointer, first, dense.shape[0], dense.data_ptr(), library.isa, threads)
    )


def _fake_linear(
    x: Tensor,
    packed: Tensor,  # noqa: ARG001 - the operator's signature
    scales: Tensor,  # noqa: ARG001
    zero_points: Tensor | None,  # noqa: ARG001
    bits: int,  # noqa: ARG001
    group: int,  # noqa: ARG001
    outputs: int,
    inputs: int,  # noqa: ARG001
    bias: Tensor | None,  # noqa: ARG001
    int8: bool,  # noqa: ARG001
) -> Tensor:
    return x.new_empty(*x.shape[:-1], outputs)


def _fake_dequantize(
    packed: Tensor,
    scales: Tensor,  # noqa: ARG001 - the operator's signature
    zero_points: Tensor | None,  # noqa: ARG001
    bits: int,  # noqa: ARG001
    group: int,  # noqa: ARG001
    outputs: int,
    inputs: int,
) -> Tensor:
    return packed.new_empty(outputs, inputs, dtype=torch.float32)
