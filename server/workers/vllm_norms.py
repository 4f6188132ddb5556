"""vLLM's compiled root-mean-square norms for its IR operators on a CPU, where each is ten torch operators.

vLLM's CPU library holds both norms, but its registry offers them on GPUs only. A token's two norms a layer
took 6 to 8 % of a 1B model's time, of which the compiled ones need a tenth. As on a GPU, the norm of a sum
is taken of the sum as it is stored: rounded to bfloat16 where the activations are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from vllm import ir
from vllm.config.kernel import IrOpPriorityConfig
from vllm.platforms import current_platform

PROVIDER = "bitloom_cpu"
VECTOR = 32  # features that the compiled loops take whole, at every instruction set
FLOATS = (torch.float32, torch.bfloat16, torch.float16)


def register_norms() -> None:
    """Register the norms and put them before vLLM's own on this platform; the engine's flags still decide."""
    current_platform.import_kernels()
    if PROVIDER in ir.ops.rms_norm.impls:
        return
    compiled = torch.ops._C
    supported = hasattr(compiled, "rms_norm") and hasattr(compiled, "fused_add_rms_norm")
    ir.ops.rms_norm.register_impl(PROVIDER, supports_args=takes_norm, supported=supported)(rms_norm)
    ir.ops.fused_add_rms_norm.register_impl(
        PROVIDER, supports_args=takes_added_norm, supported=supported, inplace=True
    )(fused_add_rms_norm)
    if supported:
        _prefer()


def takes_norm(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> bool:
    """Whether the compiled norm takes these tensors; their names are vLLM's."""
    del epsilon
    if weight is None or variance_size is not None:
        return False
    return x.dtype in FLOATS and weight.dtype is x.dtype and x.shape[-1] % VECTOR == 0 and x.is_contiguous()


def takes_added_norm(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> bool:
    """Whether the compiled norm of a sum takes these tensors."""
    return takes_norm(x, weight, epsilon, variance_size) and x_residual.is_contiguous()


def rms_norm(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> Tensor:
    """x [..., features] over its root mean square, times weight [features]."""
    del variance_size
    y = torch.empty_like(x)
    torch.ops._C.rms_norm(y, x, weight, epsilon)
    return y


def fused_add_rms_norm(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """The norm of x + x_residual, and the sum; both are written in place."""
    del variance_size
    torch.ops._C.fused_add_rms_norm(x, x_residual, weight, epsilon)
    return x, x_residual


def _prefer() -> None:
    platform = type(current_platform)
    default = platform.get_default_ir_op_priority

    def preferred(cls: object, vllm_config: object) -> IrOpPriorityConfig:
        del cls
        priority = default(vllm_config)
        for names in (priority.rms_norm, priority.fused_add_rms_norm):
            names.insert(0, PROVIDER)
        return priority

    platform.get_default_ir_op_priority = classmethod(preferred)
