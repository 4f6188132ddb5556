"""What vLLM's worker says of its memory: an extension of its worker class, reached by `collective_rpc`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bitloom.memory import component_of
from server.workers.memory import release_freed, tensor_bytes

if TYPE_CHECKING:
    from torch import nn

EXTENSION = "server.workers.vllm_memory.MemoryReport"


class MemoryReport:
    """Mixed into vLLM's worker (`--worker-extension-cls`)."""

    def bitloom_weight_bytes(self) -> dict[str, int]:
        """Bytes of the loaded model's weights by component; what loading left over is given back first."""
        release_freed()
        model: nn.Module = self.get_model()  # type: ignore[attr-defined]  # of vLLM's worker
        found = {str(name): count for name, count in tensor_bytes(model).items()}
        for name, module in model.named_modules():
            if hidden := hidden_bytes(module):
                component = component_of(f"{name}.weight")
                found[component] = found.get(component, 0) + hidden
        return found


def hidden_bytes(module: Any) -> int:
    """Bytes of a dense weight that vLLM has given to oneDNN, in whose layout torch sees no tensor."""
    weight = getattr(module, "weight", None)
    if weight is None or weight.numel() or not hasattr(module, "cpu_linear"):
        return 0
    return int(module.output_size_per_partition * module.input_size_per_partition * weight.element_size())
