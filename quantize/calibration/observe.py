"""Watches the inputs of a unit's Linears while the unit runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from quantize.calibration.batches import Batch
from quantize.calibration.statistics import Accumulator, UnitStatistics
from quantize.calibration.units import Unit
from quantize.errors import QuantizationError


class Observer:
    """Collects the statistics of one unit, batch by batch. Layers that share an input share them."""

    def __init__(self, unit: Unit, module: nn.Module) -> None:
        self._unit = unit
        self._linears = {layer.name: module.get_submodule(unit.relative(layer.name)) for layer in unit.layers}
        self._accumulators: dict[str, Accumulator] = {}
        self._owners: dict[str, str] = {}
        self._weighs_tokens = any(layer.component == "language" for layer in unit.layers)

    @contextmanager
    def watching(self, batch: Batch) -> Iterator[None]:
        """Watch the unit's Linears while it runs on `batch`, called as modules."""
        seen: list[tuple[Tensor, str]] = []

        def hook(layer: str) -> Any:
            return lambda _module, args: self._see(layer, args[0], batch, seen)

        with ExitStack() as hooks:
            for layer, linear in self._linears.items():
                hooks.enter_context(_removed_after(linear.register_forward_pre_hook(hook(layer))))
            yield

    def see(self, batch: Batch, x: Tensor) -> None:
        """Count x [..., in] as the input of the unit, a lone Linear."""
        self._see(self._unit.name, x, batch, [])

    def finish(self) -> UnitStatistics:
        """Statistics of all batches."""
        inputs = {owner: accumulator.finish() for owner, accumulator in self._accumulators.items()}
        return UnitStatistics(dict(self._owners), inputs)

    def _see(self, layer: str, x: Tensor, batch: Batch, seen: list[tuple[Tensor, str]]) -> None:
        owner = next((owner for other, owner in seen if other is x), None)
        if owner is not None and self._owners.setdefault(layer, owner) == owner:
            return
        seen.append((x, layer))
        if self._owners.setdefault(layer, layer) != layer:
            raise QuantizationError(
                f"{layer}: shares its input on some samples only; this model cannot be calibrated"
            )
        flat = x.detach().reshape(-1, x.shape[-1]).to(torch.float32)
        if not bool(torch.isfinite(flat).all()):
            raise QuantizationError(
                f"{layer}: its inputs hold NaN or infinity on samples {', '.join(batch.names)}; "
                "check the checkpoint and these samples"
            )
        accumulator = self._accumulators.setdefault(layer, Accumulator(flat.shape[1], flat.device))
        accumulator.add(flat, self._weights(layer, flat, batch), is_held_out=batch.is_held_out)

    def _weights(self, layer: str, flat: Tensor, batch: Batch) -> Tensor | None:
        if not self._weighs_tokens:
            return None
        if batch.token_weights.numel() != flat.shape[0]:
            raise QuantizationError(
                f"{layer}: {flat.shape[0]} inputs for {batch.token_weights.numel()} tokens; "
                "the processor's tokens are not the language model's"
            )
        weights = batch.token_weights.reshape(-1).to(flat.device)
        return None if bool((weights == 1).all()) else weights


@contextmanager
def _removed_after(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()
