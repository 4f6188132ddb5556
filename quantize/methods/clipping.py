"""Clip search: a narrower grid cuts off the largest weights of a group and rounds all others finer.

For each group the grid is fitted to c w for a falling ratio c, and the ratio with the least error is
kept; c = 1 is always tried, so the search never loses on its own measure. The measure of a group's
error d [width] is

    d d^T                 without statistics (MSE),
    d H_gg d^T            with them, H_gg the group's diagonal block of the Hessian: the group's own
                          share of the output error (AWQ's clip search, arXiv 2306.00978, section 3),
    d diag(H) d^T         with them where the group is the whole channel, whose block would be all of H.
"""

from __future__ import annotations

import torch
from torch import Tensor

from quantize.methods.grids import fit_grid, round_to_grid
from quantize.scheme import Scheme

LEAST_RATIO = 0.5
STEPS = 20
_WIDEST_BLOCK = 128


def search_grid(
    grouped: Tensor, scheme: Scheme, hessian: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Scales and zero points [rows, groups] of weights [rows, groups, width] with the least error.

    `hessian` [in, in] weighs the errors; in = groups * width. Dtypes are those of `fit_grid`.
    """
    best_scales, best_zeros = fit_grid(grouped, scheme)
    measure = _Measure(grouped, hessian)
    best = measure(_error(grouped, best_scales, best_zeros, scheme))
    for step in range(1, STEPS):
        ratio = 1 - (1 - LEAST_RATIO) * step / (STEPS - 1)
        scales, zeros = fit_grid(grouped * ratio, scheme)
        cost = measure(_error(grouped, scales, zeros, scheme))
        better = cost < best
        best = torch.where(better, cost, best)
        best_scales = torch.where(better, scales, best_scales)
        if zeros is not None and best_zeros is not None:
            best_zeros = torch.where(better, zeros, best_zeros)
    return best_scales, best_zeros


def _error(grouped: Tensor, scales: Tensor, zeros: Tensor | None, scheme: Scheme) -> Tensor:
    rounded = round_to_grid(grouped, scales, zeros, scheme)
    if zeros is not None:
        rounded = rounded - zeros.unsqueeze(-1)
    return rounded * scales.unsqueeze(-1) - grouped


class _Measure:
    """Cost [rows, groups] of errors [rows, groups, width]."""

    def __init__(self, grouped: Tensor, hessian: Tensor | None) -> None:
        _, groups, width = grouped.shape
        self._diagonal: Tensor | None = None
        self._blocks: Tensor | None = None
        if hessian is None:
            return
        if width > _WIDEST_BLOCK:
            self._diagonal = hessian.diagonal().reshape(groups, width).to(grouped.dtype)
        else:
            blocks = hessian.reshape(groups, width, groups, width).diagonal(dim1=0, dim2=2)
            self._blocks = blocks.permute(2, 0, 1).to(grouped.dtype)

    def __call__(self, error: Tensor) -> Tensor:
        if self._blocks is not None:
            projected = torch.einsum("rgi,gij->rgj", error, self._blocks)
            return (projected * error).sum(-1)
        if self._diagonal is not None:
            return (error.square() * self._diagonal).sum(-1)
        return error.square().sum(-1)
