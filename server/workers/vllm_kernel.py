"""A vLLM linear kernel for weights of 2..8 bits on the CPU: dequantized once, when they are loaded.

It takes what compressed-tensors calls pack-quantized: `weight_packed` int32 [out, ceil(in*bits/32)],
one dense bit stream a row; `weight_scale` [out, groups]; and, where the scheme is asymmetric,
`weight_zero_point` int32 [ceil(out*bits/32), groups], packed along the output features. Both streams
hold values offset by 2^(bits-1). With a group of `in/groups` consecutive inputs,

    W[o, i] = (q[o, i] - z[o, group(i)]) * s[o, group(i)],     z = 0 where symmetric.

The products are made in float32 and rounded once to the activations' type, as compressed-tensors
does; so the layer equals one with dense weights, and costs its memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from vllm.model_executor.kernels.linear import CPUWNA16LinearKernel
from vllm.model_executor.kernels.linear.mixed_precision.MPLinearKernel import (
    MPLinearKernel,
    MPLinearLayerConfig,
)

from bitloom import packing
from bitloom.packing import MAX_BITS, MIN_BITS

DENSE_NAME = "weight_dequantized"
FLOATS = (torch.float32, torch.bfloat16, torch.float16)


def dequantize(
    packed: Tensor, scale: Tensor, zero_point: Tensor | None, bits: int, inputs: int, dtype: torch.dtype
) -> Tensor:
    """Dense weights [out, inputs] in `dtype` of one packed layer (shapes: module header)."""
    zeros = None
    if zero_point is not None:
        zeros = packing.unpack_zero_points(zero_point.detach().numpy(), bits, scale.shape[0])
    integers = packing.unpack(packed.detach().contiguous().numpy(), bits, inputs)
    dense = packing.dequantize(integers, scale.detach().float().numpy(), zeros)
    return torch.from_numpy(dense).to(dtype)


def stock_kernel_serves(config: MPLinearLayerConfig) -> bool:
    """Whether vLLM's CPU kernel takes this layer and works: bfloat16, in a build that holds it."""
    compiled = hasattr(torch.ops._C, "cpu_gemm_wna16")
    return compiled and config.act_type is torch.bfloat16 and CPUWNA16LinearKernel.can_implement(config)[0]


class DequantizingLinearKernel(MPLinearKernel):  # type: ignore[misc]  # vLLM is untyped to mypy
    """y = x @ W.T + b with W dequantized at load; any shape, group and float type."""

    @classmethod
    def get_min_capability(cls) -> int:
        """No CUDA capability is needed."""
        return -1

    @classmethod
    def can_implement(cls, config: MPLinearLayerConfig) -> tuple[bool, str | None]:
        """Whether the layer is of a kind this kernel takes, and if not, why."""
        bits = config.weight_type.size_bits
        inputs = config.partition_weight_shape[0]
        if not MIN_BITS <= bits <= MAX_BITS:
            return False, f"{bits} bits; {MIN_BITS}..{MAX_BITS} are supported"
        if config.group_size > 0 and inputs % config.group_size:
            return False, f"groups of {config.group_size} do not divide {inputs} inputs"
        if config.act_type not in FLOATS:
            return False, f"activations of {config.act_type}; one of {FLOATS} is supported"
        if stock_kernel_serves(config):
            return False, "vLLM's own kernel serves it"
        return True, None

    def process_weights_after_loading(self, layer: nn.Module) -> None:
        """Replace the packed parameters by the dense weights."""
        packed, scale, zero_point = self._get_weight_params(layer)
        if packed.input_dim != 1 or packed.packed_dim != 1:
            raise ValueError("expected compressed-tensors' layout: rows are outputs, packed along inputs")
        dense = dequantize(
            packed,
            scale,
            zero_point if self.config.zero_points else None,
            self.config.weight_type.size_bits,
            self.config.partition_weight_shape[0],
            self.config.act_type,
        )
        for name in (self.w_q_name, self.w_s_name, self.w_zp_name):
            if name is not None and hasattr(layer, name):
                delattr(layer, name)
        layer.register_parameter(DENSE_NAME, nn.Parameter(dense, requires_grad=False))

    def apply_weights(self, layer: nn.Module, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """x [..., in] -> [..., out]."""
        return nn.functional.linear(x, layer.get_parameter(DENSE_NAME), bias)
