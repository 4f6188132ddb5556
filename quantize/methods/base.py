"""What every method takes and returns.

Integers are signed and lie in the scheme's range, zero points too: weight = (integer - zero) * scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from quantize.scheme import Scheme


@dataclass(frozen=True, slots=True)
class LayerStatistics:
    """What one calibration pass saw at the input of a Linear; layers that share an input share this.

    `hessian` is the sum of x x^T over `tokens` inputs, float32 [in, in]; `magnitudes` the mean |x|
    of each input channel, float32 [in].
    """

    hessian: Tensor
    magnitudes: Tensor
    tokens: int


@dataclass(frozen=True, slots=True)
class QuantizedWeight:
    """A quantized Linear: integers int8 [out, in]; scales [out, groups] in the scheme's scale dtype;
    zero points int8 [out, groups], or None where the scheme is symmetric."""

    integers: Tensor
    scales: Tensor
    zero_points: Tensor | None = None

    def dequantize(self) -> Tensor:
        """The weight these integers stand for, float32 [out, in]."""
        rows, cols = self.integers.shape
        groups = self.scales.shape[1]
        grouped = self.integers.view(rows, groups, cols // groups).to(torch.float32)
        if self.zero_points is not None:
            grouped = grouped - self.zero_points.to(torch.float32).unsqueeze(-1)
        return (grouped * self.scales.to(torch.float32).unsqueeze(-1)).view(rows, cols)


class MethodFunction(Protocol):
    """Quantize one weight, float32 [out, in].

    Methods that learn from data need `statistics`; RTN ignores them. Raises QuantizationError for
    a weight or statistics that are not finite.
    """

    def __call__(
        self, weight: Tensor, statistics: LayerStatistics | None, scheme: Scheme, /
    ) -> QuantizedWeight: ...
