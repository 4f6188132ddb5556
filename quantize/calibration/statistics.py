"""Statistics of a unit's inputs: what each Linear saw, distinct inputs once.

Two Hessians an input: one to learn from, and one of held-out samples, which report the output error
(`methods.losses`: the held-out inputs themselves are not needed for that).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from quantize.errors import QuantizationError
from quantize.methods import LayerStatistics


@dataclass(frozen=True, slots=True)
class InputStatistics:
    """One input: what to learn from, and the held-out Hessian [in, in] (None without held-out samples)."""

    fitting: LayerStatistics
    held_out: Tensor | None


@dataclass(frozen=True, slots=True)
class UnitStatistics:
    """The inputs of a unit. `owners` maps each layer to the layer whose input it shares (or itself)."""

    owners: Mapping[str, str]
    inputs: Mapping[str, InputStatistics]

    def of(self, layer: str) -> InputStatistics:
        """Statistics of a layer's input. Raises QuantizationError where calibration never reached it."""
        if layer not in self.owners:
            raise QuantizationError(
                f"{layer}: no calibration sample reached it; use method rtn for it, or other samples"
            )
        return self.inputs[self.owners[layer]]


class Accumulator:
    """Sums over the inputs of one Linear: weighted x x^T, weighted |x|, and how many there were."""

    def __init__(self, inputs: int, device: torch.device | None = None) -> None:
        self._hessian = torch.zeros(inputs, inputs, device=device)
        self._magnitudes = torch.zeros(inputs, device=device)
        self._weight = 0.0
        self._tokens = 0
        self._held_out: Tensor | None = None

    def add(self, x: Tensor, weights: Tensor | None, *, is_held_out: bool) -> None:
        """Add inputs x [tokens, in] with weights [tokens]; those of weight 0 (padding) do not count."""
        if weights is not None:
            kept = weights > 0
            x, weights = x[kept], weights[kept]
        scaled = x if weights is None else x * weights.sqrt().unsqueeze(1)
        if is_held_out:
            if self._held_out is None:
                self._held_out = torch.zeros_like(self._hessian)
            self._held_out.addmm_(scaled.T, scaled)
            return
        self._hessian.addmm_(scaled.T, scaled)
        self._magnitudes += x.abs().sum(0) if weights is None else x.abs().T @ weights
        self._weight += float(x.shape[0] if weights is None else weights.sum())
        self._tokens += x.shape[0]

    def finish(self) -> InputStatistics:
        """The statistics of what was added."""
        magnitudes = self._magnitudes / max(self._weight, 1e-30)
        return InputStatistics(LayerStatistics(self._hessian, magnitudes, self._tokens), self._held_out)
