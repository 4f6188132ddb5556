"""Several schemes of one weight as one stack of rows, rounded column by column together.

Row s * out + r is row r of the weight under scheme s. The schemes share their group width; bits and
symmetry may differ. Symmetric rows have zero point 0, so that one formula serves all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from quantize.methods.base import QuantizedWeight
from quantize.methods.clipping import search_grid
from quantize.methods.grids import DTYPES, fit_grid
from quantize.scheme import Scheme


class SchemeStack:
    """`columns` [in, rows] are the weights, transposed; scales and zero points are [groups, rows]."""

    def __init__(
        self, schemes: list[Scheme], weight: Tensor, hessian: Tensor | None = None, *, clip: bool = False
    ) -> None:
        self._schemes = schemes
        self._clip = clip
        self._out, cols = weight.shape
        self.width = schemes[0].group_width(cols)
        self.columns = weight.repeat(len(schemes), 1).t().contiguous()
        ranges = [scheme.integer_range for scheme in schemes]
        limits = torch.tensor(ranges, dtype=weight.dtype, device=weight.device)
        self._low, self._high = limits.repeat_interleave(self._out, 0).unbind(1)
        grouped = weight.view(self._out, cols // self.width, self.width)
        grids = [self._fit(grouped, scheme, hessian) for scheme in schemes]
        self._scales = torch.cat([scales for scales, _ in grids]).t().contiguous()
        self._zeros = torch.cat([zeros for _, zeros in grids]).t().contiguous()

    def refit(self, group: int, columns: Tensor) -> None:
        """Fit the grids of a group to its weights as they are now: columns [width, rows]."""
        for index, scheme in enumerate(self._schemes):
            own = slice(index * self._out, (index + 1) * self._out)
            scales, zeros = self._fit(columns[:, own].t().unsqueeze(1), scheme, None)
            self._scales[group, own], self._zeros[group, own] = scales[:, 0], zeros[:, 0]

    def round_column(self, column: Tensor, group: int) -> tuple[Tensor, Tensor]:
        """Nearest integers of one input's weights [rows], and what rounding left over [rows]."""
        scales, zeros = self._scales[group], self._zeros[group]
        integers = (column / scales).add_(zeros).round_().clamp_(self._low, self._high)
        return integers, column - (integers - zeros) * scales

    def nearest(self) -> list[QuantizedWeight]:
        """Every column rounded on its own: RTN, on the same grids."""
        cols, rows = self.columns.shape
        groups = self._scales.shape[0]
        grouped = self.columns.view(groups, cols // groups, rows)
        integers = grouped / self._scales.unsqueeze(1) + self._zeros.unsqueeze(1)
        integers = integers.round_().clamp_(self._low, self._high)
        return self.split(integers.view(cols, rows).to(torch.int8))

    def split(self, integers: Tensor) -> list[QuantizedWeight]:
        """One quantized weight a scheme, of integers int8 [in, rows]."""
        parts = []
        for index, scheme in enumerate(self._schemes):
            own = slice(index * self._out, (index + 1) * self._out)
            scales = self._scales[:, own].t().to(DTYPES[scheme.scale_dtype]).contiguous()
            zeros = None if scheme.symmetric else self._zeros[:, own].t().to(torch.int8).contiguous()
            parts.append(QuantizedWeight(integers[:, own].t().contiguous(), scales, zeros))
        return parts

    def _fit(self, grouped: Tensor, scheme: Scheme, hessian: Tensor | None) -> tuple[Tensor, Tensor]:
        scales, zeros = search_grid(grouped, scheme, hessian) if self._clip else fit_grid(grouped, scheme)
        scales = scales.to(grouped.dtype)
        return scales, torch.zeros_like(scales) if zeros is None else zeros.to(grouped.dtype)


def take_rows(own: QuantizedWeight, other: QuantizedWeight, take_other: Tensor) -> QuantizedWeight:
    """`own`, with the rows of `other` where `take_other` bool [out] says so."""
    chosen = take_other.unsqueeze(-1)
    zero_points = None
    if own.zero_points is not None and other.zero_points is not None:
        zero_points = torch.where(chosen, other.zero_points, own.zero_points)
    return QuantizedWeight(
        torch.where(chosen, other.integers, own.integers),
        torch.where(chosen, other.scales, own.scales),
        zero_points,
    )
