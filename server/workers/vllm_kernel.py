"""A vLLM linear kernel for weights of 2..8 bits on the CPU, packed where the compiled kernels take them.

It takes what compressed-tensors calls pack-quantized: `weight_packed` int32 [out, ceil(in*bits/32)],
one dense bit stream a row; `weight_scale` [out, groups]; and, where the scheme is asymmetric,
`weight_zero_point` int32 [ceil(out*bits/32), groups], packed along the output features. Both streams
hold values offset by 2^(bits-1). With a group of `in/groups` consecutive inputs,

    W[o, i] = (q[o, i] - z[o, group(i)]) * s[o, group(i)],     z = 0 where symmetric.

Each layer is repacked for `server.workers.kernels` when it is loaded, and its stored tensors are freed.
Without a compiled library, or for a group it does not take, the weights are dequantized instead: dense in
memory, as said in one line of the log. Then products are made in float32 and rounded once to the
activations' type, as compressed-tensors does.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn
from vllm.model_executor.kernels.linear import CPUWNA16LinearKernel
from vllm.model_executor.kernels.linear.mixed_precision.MPLinearKernel import (
    MPLinearKernel,
    MPLinearLayerConfig,
)

from bitloom import packing
from bitloom.packing import MAX_BITS, MIN_BITS
from server.workers.kernels.library import kernels, rounds_activations
from server.workers.kernels.linear import multiply
from server.workers.kernels.packed import PackedShape, PackedWeight, refusal, repack

logger = logging.getLogger(__name__)

DENSE_NAME = "weight_dequantized"
PACKED_NAME, SCALES_NAME, ZEROS_NAME = "weight_repacked", "scales_repacked", "zero_points_repacked"
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


class PackedLinearKernel(MPLinearKernel):  # type: ignore[misc]  # vLLM is untyped to mypy
    """y = x @ W.T + b with W packed, or dequantized at load; any shape, group and float type."""

    _shape: PackedShape
    _int8: bool

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
        """Replace the stored parameters by repacked ones, or by dense weights where that cannot be."""
        words, scale, zero_point = self._get_weight_params(layer)
        if words.input_dim != 1 or words.packed_dim != 1:
            raise ValueError("expected compressed-tensors' layout: rows are outputs, packed along inputs")
        stored = (words, scale, zero_point if self.config.zero_points else None)
        bits, inputs = self.config.weight_type.size_bits, self.config.partition_weight_shape[0]
        reason = refusal(bits, self.config.group_size, inputs)
        if reason is not None:
            logger.warning("%s: dequantized at load, dense in memory", reason)
        if reason is None and kernels() is not None:
            weight = repack(*stored, bits, inputs)
            made = {PACKED_NAME: weight.packed, SCALES_NAME: weight.scales, ZEROS_NAME: weight.zero_points}
            self._shape, self._int8 = weight.shape, rounds_activations()
        else:
            made = {DENSE_NAME: dequantize(*stored, bits, inputs, self.config.act_type)}
        for name in (self.w_q_name, self.w_s_name, self.w_zp_name):
            if name is not None and hasattr(layer, name):
                delattr(layer, name)
        # Parameters of the layer itself: vLLM's reload in place copies new ones into them, by name.
        for name, tensor in made.items():
            if tensor is not None:
                layer.register_parameter(name, nn.Parameter(tensor, requires_grad=False))

    def apply_weights(self, layer: nn.Module, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """x [..., in] -> [..., out]."""
        parameters = layer._parameters
        packed = parameters.get(PACKED_NAME)
        if packed is None:
            return nn.functional.linear(x, layer.get_parameter(DENSE_NAME), bias)
        scales, zeros = parameters[SCALES_NAME], parameters.get(ZEROS_NAME)
        assert scales is not None
        weight = PackedWeight(packed, scales, zeros, self._shape)
        return multiply(x, weight, None if bias is None else bias.float(), self._int8)
