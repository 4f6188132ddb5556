"""The module that takes a Linear's place where its weights stay packed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from server.workers.kernels.library import rounds_activations
from server.workers.kernels.ops import operators, packed_linear
from server.workers.kernels.packed import PackedShape, PackedWeight

operators()  # here, not in a call: defining them cannot be part of a graph


def multiply(x: Tensor, weight: PackedWeight, bias: Tensor | None, int8: bool = False) -> Tensor:
    """x [..., in] -> [..., out] of the same type; bias float32 [out].

    With `int8` activations are rounded to 8 bits a group, or a row where the weights have one scale a row.
    """
    shape = weight.shape
    # Graphs hold the operator; a plain tensor is spared torch's dispatcher, half of what a call costs.
    product = packed_linear
    if torch.compiler.is_compiling() or type(x) is not Tensor:
        product = torch.ops.bitloom.packed_linear
    y: Tensor = product(
        x,
        weight.packed,
        weight.scales,
        weight.zero_points,
        shape.bits,
        shape.group,
        shape.outputs,
        shape.inputs,
        bias,
        int8,
    )
    return y


class PackedLinear(nn.Module):
    """y = x @ W.T + b with W of 2..8 bits; its tensors are buffers: nothing casts or trains them.

    Activations are rounded to 8 bits where `int8` (W8A8) or BITLOOM_KERNEL_ACTIVATIONS asks for it.
    """

    packed: Tensor
    scales: Tensor
    zero_points: Tensor | None
    bias: Tensor | None

    def __init__(self, weight: PackedWeight, bias: Tensor | None, int8: bool = False) -> None:
        super().__init__()
        self.int8 = int8 or rounds_activations()
        self.shape: PackedShape = weight.shape
        self.in_features, self.out_features = weight.shape.inputs, weight.shape.outputs
        self.register_buffer("packed", weight.packed)
        self.register_buffer("scales", weight.scales)
        self.register_buffer("zero_points", weight.zero_points)
        self.register_buffer("bias", None if bias is None else bias.detach().float())

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in] -> [..., out] of the same type."""
        weight = PackedWeight(self.packed, self.scales, self.zero_points, self.shape)
        return multiply(x, weight, self.bias, self.int8)
