"""A stand-in for the one operator that vLLM's CPU build for AVX2 lacks: `_C::cpu_gemm_wna16`.

vLLM 0.32 picks this kernel for 4-bit AWQ and GPTQ weights on every CPU, and its AVX2 build does not hold it.
With the stand-in all before it is the stock engine's own work on such machines too: the config, the names,
the tensors' layouts and their conversion. On a CPU with AVX-512 nothing is replaced.

    output [tokens, N] = input [tokens, K] @ W [K, N] + bias,   W[k, n] = (q[k, n] - z[g(k), n]) s[g(k), n]

`q_weight` is int32 [N / 16, K * 2]: blocks of 16 outputs, input by input, eight outputs a word, low nibble
first. `zeros` is int32 [groups, N / 8], packed likewise; 8 where there are none.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCHEMA = (
    "cpu_gemm_wna16(Tensor input, Tensor q_weight, Tensor(a!) output, Tensor scales, Tensor? zeros, "
    "Tensor? bias, SymInt pack_factor, str isa_hint) -> ()"
)
_OUTPUTS, _SYMMETRIC_ZERO = 16, 8


def install() -> torch.library.Library | None:
    """Define the operator where the build lacks it; keep what is returned as long as it is needed."""
    from vllm.platforms import current_platform

    current_platform.import_kernels()  # defines the operators that the build for this CPU has
    if hasattr(torch.ops._C, "cpu_gemm_wna16"):
        return None
    library = torch.library.Library("_C", "FRAGMENT")  # type: ignore[no-untyped-call]
    library.define(SCHEMA)  # type: ignore[no-untyped-call]
    library.impl("cpu_gemm_wna16", multiply, "CPU")  # type: ignore[no-untyped-call]
    return library


def multiply(
    x: Tensor,
    q_weight: Tensor,
    output: Tensor,
    scales: Tensor,
    zeros: Tensor | None,
    bias: Tensor | None,
    pack_factor: int,
    isa_hint: str,
) -> None:
    """Fill `output` as the module header says; products in float32."""
    if pack_factor != 8:
        raise NotImplementedError(f"{32 // pack_factor} bits: the kernel is never asked for other than 4")
    inputs, groups = x.shape[-1], scales.shape[0]
    nibbles = unpack(q_weight.reshape(-1, inputs, _OUTPUTS // 8)).reshape(-1, inputs, _OUTPUTS)
    values = nibbles.permute(1, 0, 2).reshape(groups, inputs // groups, -1).float()
    points = torch.full_like(scales, _SYMMETRIC_ZERO) if zeros is None else unpack(zeros)
    dense = ((values - points.float().unsqueeze(1)) * scales.float().unsqueeze(1)).reshape(inputs, -1)
    product = x.float() @ dense
    output.copy_(product if bias is None else product + bias.float())


def unpack(words: Tensor) -> Tensor:
    """Nibbles of words [..., n] as [..., 8 n], low ones first."""
    shifts = torch.arange(0, 32, 4, dtype=torch.int32)
    return ((words.unsqueeze(-1) >> shifts) & 15).flatten(-2)
