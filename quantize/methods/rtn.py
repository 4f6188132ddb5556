"""Round to nearest: each weight becomes the nearest point of its group's grid; no data needed."""

from __future__ import annotations

import torch
from torch import Tensor

from quantize.errors import QuantizationError
from quantize.methods.base import LayerStatistics, QuantizedWeight
from quantize.methods.clipping import search_grid
from quantize.methods.grids import DTYPES, fit_grid, round_to_grid
from quantize.scheme import Scheme

_CHUNK_WEIGHTS = 1 << 24  # float32 temporaries stay under a few hundred MB, whatever the layer's size


def quantize_rtn(weight: Tensor, statistics: LayerStatistics | None, scheme: Scheme, /) -> QuantizedWeight:
    """Round `weight` float32 [out, in] to the grid of each group; `statistics` are not used.

    Where the scheme says `clip`, a group's grid is the one with the least squared error (`clipping.py`).

    Raises QuantizationError where the weight holds NaN or infinity.
    """
    del statistics
    rows, cols = weight.shape
    groups = scheme.groups(cols)
    integers = weight.new_empty((rows, cols), dtype=torch.int8)
    scales = weight.new_empty((rows, groups), dtype=DTYPES[scheme.scale_dtype])
    zero_points = None if scheme.symmetric else weight.new_empty((rows, groups), dtype=torch.int8)
    for chunk in _row_chunks(rows, cols):
        grouped = weight[chunk].to(torch.float32).view(-1, groups, cols // groups)
        if not bool(torch.isfinite(grouped).all()):
            raise QuantizationError("the weight holds NaN or infinity; repair the checkpoint")
        chunk_scales, chunk_zeros = search_grid(grouped, scheme) if scheme.clip else fit_grid(grouped, scheme)
        rounded = round_to_grid(grouped, chunk_scales, chunk_zeros, scheme)
        integers[chunk] = rounded.view(-1, cols).to(torch.int8)
        scales[chunk] = chunk_scales.to(scales.dtype)
        if zero_points is not None and chunk_zeros is not None:
            zero_points[chunk] = chunk_zeros.to(torch.int8)
    return QuantizedWeight(integers, scales, zero_points)


def _row_chunks(rows: int, cols: int) -> list[slice]:
    step = max(1, _CHUNK_WEIGHTS // cols)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
