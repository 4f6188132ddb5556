"""Which product serves how many rows: the packed kernel, or unpacking for the platform's GEMM. Measured once.

Provenance: AMD EPYC 7003 (Zen 3: AVX2, no AVX-512), torch 2.13, vLLM 0.32, `python -m benchmarks.cpu_kernel`;
figures in docs/kernel.md. torch's int4pack takes three times as long at one row, its int8 product (`_int_mm`)
and bfloat16 GEMM some ten times ours at 577 rows; vLLM's W8A8 twenty times ours at one row and about as long
at 577. So no stock kernel is called there. On AVX-512 nothing was measured: the rows are on the safe side,
and W8A8 stays with vLLM's VNNI and AMX products; the benchmark says there what to enter.
"""

from __future__ import annotations

from typing import Literal

import torch

Activations = Literal["float32", "bfloat16", "int8"]

# (instruction set, activations): rows from which the GEMM is faster; None: never
_ROWS: dict[tuple[str, Activations], int | None] = {
    ("portable", "float32"): 2,
    ("portable", "bfloat16"): 2,
    ("portable", "int8"): None,  # the GEMM would not round activations as was asked for
    ("avx2", "float32"): 32,  # a float32 row is two rows of integers
    ("avx2", "bfloat16"): None,
    ("avx2", "int8"): None,
    ("avx512", "float32"): 64,  # not measured: no such machine was at hand
    ("avx512", "bfloat16"): 128,  # not measured
    ("avx512", "int8"): None,
}

# Instruction sets on which vLLM's own W8A8 product serves W8A8 layers.
_STOCK_W8A8 = frozenset({"avx512"})


def w8a8_by_stock(isa: str) -> bool:
    """Whether vLLM's own kernel is the faster one for W8A8 layers."""
    return isa in _STOCK_W8A8


def by_gemm(isa: str, activations: Activations, rows: int) -> bool:
    """Whether unpacking the weights for the platform's GEMM is the faster way for so many rows."""
    least = _ROWS[isa, activations]
    return least is not None and rows >= least


def gemm_type(x: torch.Tensor) -> torch.dtype:
    """The type the GEMM computes in: bfloat16 where the machine multiplies it (AVX-512 BF16, AMX)."""
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native and x.dtype is torch.bfloat16 else torch.float32
