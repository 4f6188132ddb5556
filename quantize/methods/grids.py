"""The grid of a group: its scales and zero points from least and greatest weight.

Symmetric, b bits: the integers are -2^(b-1) .. 2^(b-1)-1 and the scale spreads the greatest
magnitude over half that range, s = max|w| / (2^(b-1) - 1/2), which rounds the greatest positive
weight into the range at half a step's cost instead of wasting the lowest integer. Asymmetric: the range
[min(w, 0), max(w, 0)] is spread over all 2^b - 1 steps, and zero falls on an integer. Both are
compressed-tensors' conventions (`calculate_qparams`), so that RTN here is bit-equal to llm-compressor's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from quantize.scheme import Scheme

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def fit_grid(grouped: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor | None]:
    """Scales and zero points of weights float32 [..., width]: both [...], over the last dimension.

    Scales are float32 values that the scheme's scale dtype represents exactly; zero points are
    float32 integers, or None where the scheme is symmetric. A group of zeros gets scale 1.
    """
    low_integer, high_integer = scheme.integer_range
    steps = high_integer - low_integer
    if scheme.symmetric:
        scales = _storable(grouped.abs().amax(-1) / (steps / 2), scheme)
        return scales, None
    low, high = grouped.amin(-1).clamp(max=0), grouped.amax(-1).clamp(min=0)
    scales = _storable((high - low) / steps, scheme)
    zero_points = (low_integer - low / scales).round().clamp(low_integer, high_integer)
    return scales, zero_points


def round_to_grid(grouped: Tensor, scales: Tensor, zero_points: Tensor | None, scheme: Scheme) -> Tensor:
    """Nearest integers (float32) of weights [..., width] on the grid [...], clamped to the range."""
    low_integer, high_integer = scheme.integer_range
    integers = grouped / scales.unsqueeze(-1)
    if zero_points is not None:
        integers = integers + zero_points.unsqueeze(-1)
    return integers.round_().clamp_(low_integer, high_integer)


def _storable(scales: Tensor, scheme: Scheme) -> Tensor:
    rounded = scales.to(DTYPES[scheme.scale_dtype]).to(torch.float32)
    return torch.where(rounded > 0, rounded, torch.ones_like(rounded))
