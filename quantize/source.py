"""Where a variant's tensors come from: computed on the spot, or taken from what was computed before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from quantize.checkpoint import Checkpoint
from quantize.errors import QuantizationError
from quantize.methods import QuantizedWeight, find_method
from quantize.reading import read_tensor
from quantize.resolve import ResolvedLayer

_CHUNK_WEIGHTS = 1 << 24


@dataclass(frozen=True, slots=True)
class QuantizedLayer:
    """A layer's integers and scales, and what rounding cost.

    `relative_error` is ||W_q - W||_F / ||W||_F, None for an all-zero weight; `relative_output_error`
    the same of the layer's outputs on held-out calibration samples, where there were some.
    """

    weight: QuantizedWeight
    relative_error: float | None
    relative_output_error: float | None = None


class TensorSource(Protocol):
    """What the writer asks for, one tensor at a time, in the checkpoint's order.

    A source that smooths (AWQ) also changes dense tensors: norms and biases.
    """

    @property
    def calibration(self) -> str | None:
        """SHA-256 of the calibration samples that its layers learnt from, if they did."""
        ...

    def notes(self) -> tuple[str, ...]:
        """What did not go as planned, for the manifest; complete once every tensor was asked for."""
        ...

    def dense(self, name: str) -> Tensor:
        """The dense tensor `name` (written name), in the checkpoint's dtype and shape."""
        ...

    def quantized(self, layer: ResolvedLayer) -> QuantizedLayer:
        """The layer by its scheme, which is not None. Raises QuantizationError naming the layer."""
        ...


class DirectSource:
    """Reads each tensor from the checkpoint and quantizes it by its method, without statistics."""

    calibration: str | None = None

    def notes(self) -> tuple[str, ...]:
        """Nothing: rounding to nearest always goes as planned."""
        return ()

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def dense(self, name: str) -> Tensor:
        """The checkpoint's tensor as it is."""
        return read_tensor(self._checkpoint.tensors[name])

    def quantized(self, layer: ResolvedLayer) -> QuantizedLayer:
        """The checkpoint's weight, quantized now."""
        if layer.scheme is None:
            raise AssertionError(f"{layer.name} has no scheme")
        weight = self.dense(f"{layer.name}.weight")
        try:
            quantized = find_method(layer.scheme.method)(weight, None, layer.scheme)
        except QuantizationError as exc:
            raise QuantizationError(f"{layer.name}: {exc}") from exc
        return QuantizedLayer(quantized, relative_error(weight, quantized))


def _sum_of_squares(part: Tensor) -> float:
    """Float32 within a row, float64 over rows: all in float64 took half of a large model's time by RTN."""
    return float(torch.linalg.vector_norm(part, dim=1).to(torch.float64).square().sum())


def relative_error(weight: Tensor, quantized: QuantizedWeight) -> float | None:
    """||W_q - W||_F / ||W||_F of weights [out, in], in chunks of rows; None where W is all zero."""
    rows, cols = weight.shape
    step = max(1, _CHUNK_WEIGHTS // cols)
    lost = energy = 0.0
    for start in range(0, rows, step):
        part = weight[start : start + step].to(torch.float32)
        zeros = quantized.zero_points
        rounded = QuantizedWeight(
            quantized.integers[start : start + step],
            quantized.scales[start : start + step],
            None if zeros is None else zeros[start : start + step],
        ).dequantize()
        energy += _sum_of_squares(part)
        lost += _sum_of_squares(rounded.sub_(part))
    return float((lost / energy) ** 0.5) if energy > 0 else None
