"""AWQ: inputs that carry much are rounded finely, because their weights are scaled up beforehand.

Lin et al., arXiv 2306.00978. A norm (or linear) whose output feeds only some linears can give up a
factor per channel that they take on: with s [in] > 0,

    W x = (W diag(s)) (diag(1/s) x),   so   norm' = norm / s,   W' = W diag(s)

changes nothing but the rounding: column j of W' is rounded with the step of its group, and the error
reaches the output divided by s_j. Candidates are, for exponents a in [0, 1],

    s = x^a                      x the mean magnitude of each input,
    s = x^a / w^(1-a)            w the mean of |W| relative to the greatest of its group,

and s = 1, that is no smoothing at all; the one with the least output error, measured exactly by the
Hessian over all linears of the group, wins. So smoothing never loses to RTN on the calibration data.

A norm stored in bfloat16 rounds norm / s, by up to 2^-9 of it, which would change the function before
anything is quantized. `fold` therefore rounds norm' first and takes s = norm / norm' in float32, which
the weights take on exactly. Only biases are left to round, as every stored bias is.
(Powers of two would be exact for those too, but measured 4 to 20 % more output error.)

The rest is a clip search (`clipping.py`) on the smoothed weight, kept for the rows where it helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from quantize.errors import QuantizationError
from quantize.methods.base import LayerStatistics, QuantizedWeight
from quantize.methods.losses import row_losses
from quantize.methods.rtn import quantize_rtn
from quantize.methods.stack import SchemeStack, take_rows
from quantize.scheme import Scheme

EXPONENT_STEPS = 20
_SEARCH_ROWS = 512  # rows of each linear that the search looks at; the scales are shared by all rows
_GREATEST_SCALE = 2.0**12


@dataclass(frozen=True, slots=True)
class Smoothing:
    """The scales [in] that a mapping group's linears take on; all ones where nothing was better.

    `exponent` is the a of the module header, None for no smoothing; `weighted` whether the weights'
    magnitudes took part; `gain` the group's output error relative to that without smoothing, <= 1.
    """

    scales: Tensor
    exponent: float | None
    weighted: bool
    gain: float


def quantize_awq(weight: Tensor, statistics: LayerStatistics | None, scheme: Scheme, /) -> QuantizedWeight:
    """Round `weight` float32 [out, in], smoothed already, on grids with searched clipping.

    Raises QuantizationError without statistics, or where weight or statistics are not finite.
    """
    if statistics is None:
        raise QuantizationError("awq needs calibration statistics, and there are none for this layer")
    hessian = statistics.hessian
    if not bool(torch.isfinite(hessian).all()):
        raise QuantizationError("the Hessian holds NaN or infinity; calibrate again")
    plain = quantize_rtn(weight, None, scheme)
    if not bool((hessian.diagonal() > 0).any()):
        return plain
    clipped = SchemeStack([scheme], weight, hessian, clip=True).nearest()[0]
    better = _losses(clipped, weight, hessian) < _losses(plain, weight, hessian)
    return take_rows(plain, clipped, better)


def search_smoothing(
    weights: Sequence[Tensor],
    statistics: LayerStatistics,
    schemes: Sequence[Scheme],
    share: Callable[[Tensor], Tensor] | None = None,
) -> Smoothing:
    """Scales for linears [out_i, in] that share the input of `statistics`, before any is rounded.

    `share` makes candidates [in] equal where the source cannot give up different scales.
    """
    sampled = [_sampled(weight) for weight in weights]
    energies = [row_losses(weight, statistics.hessian).sum().clamp(min=1e-30) for weight in sampled]

    def cost(scales: Tensor) -> float:
        total = 0.0
        for weight, scheme, energy in zip(sampled, schemes, energies, strict=True):
            rounded = quantize_rtn(weight * scales, None, scheme).dequantize() / scales
            total += float(row_losses(rounded - weight, statistics.hessian).sum() / energy)
        return total

    none = torch.ones_like(statistics.magnitudes)
    plain = least = cost(none)
    best = Smoothing(none, None, weighted=False, gain=1.0)
    for candidate, exponent, weighted in _candidates(sampled, statistics.magnitudes, schemes):
        scales = share(candidate) if share else candidate
        found = cost(scales)
        if found < least:
            least = found
            best = Smoothing(scales, exponent, weighted, gain=found / plain)
    return best


def smoothed_statistics(statistics: LayerStatistics, scales: Tensor) -> LayerStatistics:
    """What the same inputs look like after smoothing: x / s."""
    hessian = statistics.hessian / scales.unsqueeze(0) / scales.unsqueeze(1)
    return LayerStatistics(hessian, statistics.magnitudes / scales, statistics.tokens)


def fold(source: Tensor, scales: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A norm's weight [channels] after giving up `scales`, in `dtype`, and the scales it really gave up.

    Both are float32 values; weight' * scales' is `source` to float32's precision.
    """
    given_up = (source / scales).to(dtype).to(torch.float32)
    exact = torch.where(given_up != 0, source / given_up, scales)
    return given_up, exact


def _centred(scales: Tensor) -> Tensor:
    """Scales with greatest times least = 1, within the bounds that keep bfloat16 norms normal."""
    return (scales / (scales.amax() * scales.amin()).sqrt()).clamp(1 / _GREATEST_SCALE, _GREATEST_SCALE)


def _candidates(
    weights: Sequence[Tensor], magnitudes: Tensor, schemes: Sequence[Scheme]
) -> Iterator[tuple[Tensor, float, bool]]:
    floor = magnitudes.amax() * 2.0**-20
    if not bool(floor > 0):
        return
    inputs = magnitudes.clamp(min=float(floor))
    shares = _weight_shares(weights, schemes)
    for step in range(EXPONENT_STEPS + 1):
        exponent = step / EXPONENT_STEPS
        if step > 0:
            yield _centred(inputs**exponent), exponent, False
        if step < EXPONENT_STEPS:
            yield _centred(inputs**exponent / shares ** (1 - exponent)), exponent, True


def _weight_shares(weights: Sequence[Tensor], schemes: Sequence[Scheme]) -> Tensor:
    """Mean over all rows of |w| relative to the greatest of its group: [in]."""
    shares = []
    for weight, scheme in zip(weights, schemes, strict=True):
        grouped = weight.abs().view(weight.shape[0], scheme.groups(weight.shape[1]), -1)
        shares.append((grouped / grouped.amax(-1, keepdim=True).clamp(min=1e-30)).view_as(weight))
    return torch.cat(shares).mean(0).clamp(min=1e-4)


def _sampled(weight: Tensor) -> Tensor:
    return weight[:: -(-weight.shape[0] // _SEARCH_ROWS)].contiguous()


def _losses(quantized: QuantizedWeight, weight: Tensor, hessian: Tensor) -> Tensor:
    return row_losses(quantized.dequantize() - weight, hessian)
