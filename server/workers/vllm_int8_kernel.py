"""A vLLM linear kernel for W8A8 layers on CPUs whose stock kernel is slower: see `kernels.crossover`.

It takes what compressed-tensors calls int-quantized with dynamic activations a token: `weight` int8
[out, in], `weight_scale` [out, 1]. A row of activations x becomes round(x / a) * a with
a = max|x| / 127, as the stock kernel has it; products of integers are exact.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from vllm.model_executor.kernels.linear.scaled_mm.ScaledMMLinearKernel import (
    Int8ScaledMMLinearKernel,
    Int8ScaledMMLinearLayerConfig,
)

from server.workers.kernels.crossover import w8a8_by_stock
from server.workers.kernels.library import ISAS, kernels
from server.workers.kernels.linear import multiply
from server.workers.kernels.packed import PackedShape, PackedWeight, repack_int8

PACKED_NAME, SCALES_NAME = "weight_repacked", "scales_repacked"


class PackedInt8Kernel(Int8ScaledMMLinearKernel):  # type: ignore[misc]  # vLLM is untyped to mypy
    """y = round8(x) @ W.T + b with W of 8 bits in the packed kernels' layout."""

    _shape: PackedShape

    @classmethod
    def is_supported(cls, compute_capability: int | None = None) -> tuple[bool, str | None]:  # noqa: ARG003
        """Whether the packed kernels are there, and faster than the stock one."""
        library = kernels()
        if library is None:
            return False, "the packed kernels are not built"
        if w8a8_by_stock(ISAS[library.isa]):
            return False, f"vLLM's own kernel is faster on {ISAS[library.isa]}"
        return True, None

    @classmethod
    def can_implement(cls, c: Int8ScaledMMLinearLayerConfig) -> tuple[bool, str | None]:
        """Whether the layer has a scale an output and dynamic symmetric activations."""
        if c.is_static_input_scheme or not c.input_symmetric or not c.is_channelwise:
            return False, "a scale an output, and dynamic symmetric activations are taken"
        return True, None

    def process_weights_after_loading(self, layer: nn.Module) -> None:
        """Replace the stored parameters by repacked ones."""
        weight_name, scale_name, *others = self.layer_param_names
        made = repack_int8(getattr(layer, weight_name), getattr(layer, scale_name))
        self._shape = made.shape
        for name in (weight_name, scale_name, *others):
            if hasattr(layer, name):
                delattr(layer, name)
        # Parameters of the layer itself: vLLM's reload in place copies new ones into them, by name.
        for name, tensor in ((PACKED_NAME, made.packed), (SCALES_NAME, made.scales)):
            layer.register_parameter(name, nn.Parameter(tensor, requires_grad=False))

    def apply_weights(self, layer: nn.Module, x: Any, bias: Tensor | None = None) -> Tensor:
        """x [..., in] -> [..., out]."""
        parameters = (layer.get_parameter(PACKED_NAME), layer.get_parameter(SCALES_NAME))
        weight = PackedWeight(*parameters, None, self._shape)
        return multiply(x, weight, None if bias is None else bias.float(), int8=True)
