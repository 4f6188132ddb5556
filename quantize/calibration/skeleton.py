"""A model whose weights come and go: structure on the meta device, units loaded when they are due.

Everything outside the units (embeddings, final norms) is loaded at once and stays. Weights are computed
with in float32, whatever they are stored in, on the device that is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
import transformers
from torch import Tensor, nn

from bitloom.errors import CheckpointError
from quantize.calibration.units import Unit, list_units, unit_modules
from quantize.checkpoint import Checkpoint
from quantize.device import CPU
from quantize.errors import QuantizationError
from quantize.reading import read_tensor


class Skeleton:
    """The checkpoint's model without its units' weights; `units` are those, in the order they run."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device = CPU) -> None:
        self._checkpoint = checkpoint
        self._device = device
        architecture = getattr(transformers, checkpoint.family.architectures[0])
        config = transformers.AutoConfig.from_pretrained(checkpoint.directory)
        # A unit runs more than once on the same arguments; a cache among them would remember the last run.
        config.get_text_config().use_cache = False
        with _parameters_on_meta():
            self.model: nn.Module = architecture._from_config(config, dtype=torch.float32).eval()
        self.units = list_units(checkpoint)
        self.modules = unit_modules(self.units, self.model, checkpoint.family)
        inside = {id(module) for unit in self.modules for module in unit.modules()}
        outside = [(n, m) for n, m in self.model.named_modules() if id(m) not in inside]
        for name, module in outside:
            for own in [own for own, value in module._parameters.items() if value is not None]:
                self._set(module, own, self._read(f"{name}.{own}" if name else own))
        for module in self.model.modules():
            for own, buffer in module._buffers.items():
                module._buffers[own] = None if buffer is None else buffer.to(device)

    def run(self, inputs: Mapping[str, Tensor]) -> object:
        """One forward pass."""
        moved = {name: tensor.to(self._device) for name, tensor in inputs.items()}
        return self.model(**moved, **dict(self._checkpoint.family.forward))

    def load(self, index: int, changed: Mapping[str, Tensor] | None = None) -> nn.Module:
        """Give a unit its weights; `changed` (by written name, float32) instead of the checkpoint's."""
        unit, module = self.units[index], self.modules[index]
        for name, _ in list(module.named_parameters()):
            owner, _, own = name.rpartition(".")
            written = self.written(unit, name)
            tensor = changed[written] if changed and written in changed else self._read(written)
            self._set(module.get_submodule(owner), own, tensor.to(self._device))
        return module

    def release(self, index: int) -> None:
        """Take a unit's weights away."""
        module = self.modules[index]
        for name, parameter in list(module.named_parameters()):
            owner, _, own = name.rpartition(".")
            self._set(module.get_submodule(owner), own, parameter.detach().to("meta"))

    def written(self, unit: Unit, name: str) -> str:
        """Written name of a unit's parameter."""
        return self._checkpoint.family.written_name(f"{unit.name}.{name}")

    def _read(self, name: str) -> Tensor:
        entry = self._checkpoint.tensors.get(self._checkpoint.family.written_name(name))
        if entry is None:
            raise CheckpointError(
                f"{self._checkpoint.directory}: no tensor {name}, which its model needs; "
                "copy the checkpoint again"
            )
        tensor = read_tensor(entry).to(torch.float32)
        if not bool(torch.isfinite(tensor).all()):
            raise QuantizationError(f"{entry.name}: the weight holds NaN or infinity; repair the checkpoint")
        return tensor.to(self._device)

    @staticmethod
    def _set(module: nn.Module, name: str, tensor: Tensor) -> None:
        module._parameters[name] = nn.Parameter(tensor, requires_grad=False)


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Modules made inside keep their buffers (rotary tables, position ids) and drop their parameters.

    The meta device as a context would drop the buffers too, and checkpoints do not hold those.
    """
    register = nn.Module.register_parameter

    def on_meta(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
        register(module, name, None if param is None else nn.Parameter(param.detach().to("meta"), False))

    nn.Module.register_parameter = on_meta  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
