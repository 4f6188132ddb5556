"""vLLM's general plugin: what Bitloom adds to the engine, in each of its processes.

vLLM's CPU build has one kernel for packed weights, for 4 bits, which it picks whatever the
activations' type and even where its compiled library lacks it (builds for AVX2). The plugin puts a
kernel for 2..8 bits, which keeps weights packed, before it; that one leaves to the stock kernel what
the stock kernel really serves. On a GPU nothing is registered: vLLM's own kernels take 2..8 bits there.
"""

from __future__ import annotations


def register() -> None:
    """Register the CPU kernel; called by vLLM in every process, harmless when called again."""
    from vllm.model_executor.kernels import linear
    from vllm.platforms import PlatformEnum, current_platform

    if not current_platform.is_cpu():
        return
    from server.workers.vllm_kernel import PackedLinearKernel

    kernels = linear._POSSIBLE_KERNELS.setdefault(PlatformEnum.CPU, [])
    if PackedLinearKernel not in kernels:
        # `register_linear_kernel` appends, and the first kernel that says it can is taken.
        kernels.insert(0, PackedLinearKernel)
