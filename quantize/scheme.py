"""The scheme of one layer: what a plan's rules, resolved, say about how it is quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bitloom.plan import GroupSize, Method

ScaleDtype = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one layer is quantized. Layers that stay dense have no scheme (None).

    `container_bits` is the width the integers are stored in where it is not `bits` itself.
    `clip` searches each group's clipping ratio. `scale_dtype` is the checkpoint's: methods round scales
    to it *before* they round weights, so that integers and stored scales belong together.
    """

    bits: int
    method: Method = "rtn"
    group_size: GroupSize = 128
    symmetric: bool = True
    activations: Literal[8, 16] = 16
    container_bits: Literal[4, 8] | None = None
    scale_dtype: ScaleDtype = "bfloat16"
    clip: bool = False

    @property
    def stored_bits(self) -> int:
        """Width of one stored integer."""
        return self.container_bits or self.bits

    @property
    def integer_range(self) -> tuple[int, int]:
        """Least and greatest integer: [-2^(bits-1), 2^(bits-1) - 1], symmetric or not."""
        return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1

    def group_width(self, in_features: int) -> int:
        """Number of inputs that share one scale."""
        return in_features if self.group_size == "channel" else self.group_size

    def groups(self, in_features: int) -> int:
        """Number of scales of one output row; `in_features` is a multiple of the group size."""
        return in_features // self.group_width(in_features)
