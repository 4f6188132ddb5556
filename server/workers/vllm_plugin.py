"""vLLM's general plugin: what Bitloom adds to the engine, in each of its processes.

vLLM's CPU build has one kernel for packed weights, for 4 bits, which it picks whatever the
activations' type and even where its compiled library lacks it (builds for AVX2). The plugin puts a
kernel for 2..8 bits, which keeps weights packed, before it; that one leaves to the stock kernel what
the stock kernel really serves. W8A8 layers get one too, where the stock kernel is slower. On a GPU
nothing is registered: vLLM's own kernels take 2..8 bits there.

vLLM also copies every dense matrix into oneDNN's layout for its products, the token embeddings too, whose
rows are only looked up unless the head is tied to them. The plugin has that copy made when first needed.
And it has vLLM's compiled norms used, which are in its CPU library but offered on GPUs only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


def register() -> None:
    """Register the CPU kernel; called by vLLM in every process, harmless when called again."""
    from vllm.model_executor.kernels import linear
    from vllm.platforms import PlatformEnum, current_platform

    if not current_platform.is_cpu():
        return
    from server.workers.vllm_int8_kernel import PackedInt8Kernel
    from server.workers.vllm_kernel import PackedLinearKernel
    from server.workers.vllm_norms import register_norms

    kernels = linear._POSSIBLE_KERNELS.setdefault(PlatformEnum.CPU, [])
    if PackedLinearKernel not in kernels:
        # `register_linear_kernel` appends, and the first kernel that says it can is taken.
        kernels.insert(0, PackedLinearKernel)
        linear._POSSIBLE_INT8_KERNELS.setdefault(PlatformEnum.CPU, []).insert(0, PackedInt8Kernel)
        _copy_embeddings_late()
        register_norms()
        if os.environ.get("TORCH_COMPILE_DISABLE") == "1":
            # Attention is an operator of its own for the sake of compiled graphs only.
            type(current_platform).opaque_attention_op = staticmethod(lambda: False)


class LateGemm:
    """Stands for an embedding's product until one is asked for: only tied heads ask."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer: Any = layer

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """x [..., in] -> [..., out], from now on by what vLLM prepares for it."""
        from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

        dispatch_cpu_unquantized_gemm(self._layer, remove_weight=False)
        product: Tensor = self._layer.cpu_linear(x, weight, bias)
        return product


def _copy_embeddings_late() -> None:
    from vllm.model_executor.layers import vocab_parallel_embedding as layers

    method = layers.UnquantizedEmbeddingMethod
    prepare = method.process_weights_after_loading

    def prepare_late(self: Any, layer: Any) -> None:
        if isinstance(layer, layers.ParallelLMHead):
            prepare(self, layer)
        else:
            layer.cpu_linear = LateGemm(layer)

    method.process_weights_after_loading = prepare_late
