"""GPTQ: columns are rounded one after another, each one's error made up for by those still to come.

Frantar et al., arXiv 2210.17323; the factor U it walks along is derived in `factor.py`. For column j,

    v_j = nearest grid point of w_j,   e_j = (w_j - v_j) / U[j, j],   w_k -= e_j U[j, k] for k > j.

Updates are lazy: inside a block of columns at once, beyond it as one matrix product a block.
Rows do not touch one another, and the walk's Python cost does not depend on their number; so all
widths of a layer are one stack of rows: `quantize_gptq_widths` factorises once and walks once.

Grids are *static* (fitted to the original weights) or fitted when the walk enters a group, to the
weights as they are by then. Act-order needs static groups: its walk crosses groups, and a group must
stay a run of neighbouring inputs, as every engine's kernel wants it.

Rounding column by column is greedy, so nothing promises that a row ends better than by rounding to
nearest. Where the Hessian says that it did not, the row's nearest rounding is kept, so that GPTQ's
output error on the calibration data is at most RTN's, row by row.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from quantize.errors import QuantizationError
from quantize.methods.base import LayerStatistics, QuantizedWeight
from quantize.methods.factor import Factor, factorise
from quantize.methods.losses import row_losses
from quantize.methods.rtn import quantize_rtn
from quantize.methods.stack import SchemeStack, take_rows
from quantize.options import WALK_WEIGHTS, GptqOptions
from quantize.scheme import Scheme

logger = logging.getLogger(__name__)

ZERO_HESSIAN = "the Hessian is all zero: its inputs were zero on all calibration samples"


@dataclass(frozen=True, slots=True)
class GptqOutcome:
    """A quantized weight, and how it came about.

    `fallback` says why it was rounded to nearest instead, if it was; `damping` is the fraction that the
    factorisation took, `dead` the inputs that never fired, `nearest_rows` the rows kept as RTN has them.
    """

    quantized: QuantizedWeight
    fallback: str | None = None
    damping: float = 0.0
    dead: int = 0
    nearest_rows: int = 0


def quantize_gptq(weight: Tensor, statistics: LayerStatistics | None, scheme: Scheme, /) -> QuantizedWeight:
    """Quantize `weight` float32 [out, in] by GPTQ with the default options.

    Raises QuantizationError without statistics, or where weight or statistics are not finite.
    """
    if statistics is None:
        raise QuantizationError("gptq needs calibration statistics, and there are none for this layer")
    return quantize_gptq_widths(weight, statistics.hessian, [scheme])[0].quantized


def quantize_gptq_widths(
    weight: Tensor, hessian: Tensor, schemes: Sequence[Scheme], options: GptqOptions | None = None
) -> tuple[GptqOutcome, ...]:
    """Quantize `weight` [out, in] by each scheme, with one factorisation of `hessian` [in, in] for all.

    An all-zero Hessian falls back to RTN and says so. Raises QuantizationError where weight or Hessian
    are not finite, or the Hessian is not positive semidefinite.
    """
    options = options or GptqOptions()
    factor = factorise(hessian, damping=options.damping, act_order=options.act_order)
    return quantize_with_factor(weight, hessian, factor, schemes, options)


def quantize_with_factor(
    weight: Tensor,
    hessian: Tensor,
    factor: Factor | None,
    schemes: Sequence[Scheme],
    options: GptqOptions,
) -> tuple[GptqOutcome, ...]:
    """As `quantize_gptq_widths`, with a factor at hand: linears that share an input share it."""
    if not bool(torch.isfinite(weight).all()):
        raise QuantizationError("the weight holds NaN or infinity; repair the checkpoint")
    if factor is None:
        return tuple(_fall_back(weight, scheme) for scheme in schemes)
    outcomes: dict[int, GptqOutcome] = {}
    cols = weight.shape[1]

    def kind(item: tuple[int, Scheme]) -> tuple[int, bool]:
        return item[1].group_width(cols), item[1].clip

    for _, members in groupby(sorted(enumerate(schemes), key=kind), key=kind):
        bucket = list(members)
        quantized = _quantize_bucket(weight, hessian, factor, [scheme for _, scheme in bucket], options)
        for (index, _), outcome in zip(bucket, quantized, strict=True):
            outcomes[index] = outcome
    return tuple(outcomes[index] for index in range(len(schemes)))


def _fall_back(weight: Tensor, scheme: Scheme) -> GptqOutcome:
    logger.warning("%s; rounded to nearest instead", ZERO_HESSIAN)
    return GptqOutcome(quantize_rtn(weight, None, scheme), fallback=ZERO_HESSIAN)


def _quantize_bucket(
    weight: Tensor, hessian: Tensor, factor: Factor, schemes: list[Scheme], options: GptqOptions
) -> list[GptqOutcome]:
    """Schemes of one group width that clip alike, in chunks of rows that bound the memory."""
    rows, cols = weight.shape
    step = max(1, WALK_WEIGHTS // (cols * len(schemes)))
    parts = [
        _quantize_rows(weight[start : start + step], hessian, factor, schemes, options)
        for start in range(0, rows, step)
    ]
    return [_joined(column) for column in zip(*parts, strict=True)]


def _quantize_rows(
    weight: Tensor, hessian: Tensor, factor: Factor, schemes: list[Scheme], options: GptqOptions
) -> list[GptqOutcome]:
    clips = options.clip or schemes[0].clip
    stack = SchemeStack(schemes, weight, hessian if clips else None, clip=clips)
    nearest = stack.nearest() if options.keep_better_rows else []
    walked = _walk(stack, factor, options)
    outcome = GptqOutcome(walked[0], damping=factor.damping, dead=factor.dead)
    if not options.keep_better_rows:
        return [replace(outcome, quantized=each) for each in walked]
    outcomes = []
    for own, rounded in zip(walked, nearest, strict=True):
        worse = _losses(own, weight, hessian) > _losses(rounded, weight, hessian)
        merged = take_rows(own, rounded, worse)
        outcomes.append(replace(outcome, quantized=merged, nearest_rows=int(worse.sum())))
    return outcomes


def _walk(stack: SchemeStack, factor: Factor, options: GptqOptions) -> list[QuantizedWeight]:
    """The walk of the module header over all rows of the stack; `work` holds columns as rows."""
    cols, width = stack.columns.shape[0], stack.width
    order = factor.order
    work = stack.columns.clone() if order is None else stack.columns[order]
    inputs = list(range(cols)) if order is None else order.tolist()
    integers = torch.empty(work.shape, dtype=torch.int8, device=work.device)
    upper = factor.upper.to(work.dtype)
    block = max(1, options.block // width) * width if width < cols else options.block
    for start in range(0, cols, block):
        stop = min(start + block, cols)
        local, errors = upper[start:stop, start:stop], torch.empty_like(work[start:stop])
        for step, column in enumerate(range(start, stop)):
            if not options.static_groups and column % width == 0:
                stack.refit(column // width, work[column : column + width])
            rounded, remainder = stack.round_column(work[column], inputs[column] // width)
            integers[inputs[column]] = rounded.to(torch.int8)
            errors[step] = remainder / local[step, step]
            work[column + 1 : stop].addr_(local[step, step + 1 :], errors[step], alpha=-1)
        work[stop:].addmm_(upper[start:stop, stop:].t(), errors, alpha=-1)
    return stack.split(integers)


def _losses(quantized: QuantizedWeight, weight: Tensor, hessian: Tensor) -> Tensor:
    return row_losses(quantized.dequantize().to(weight.dtype) - weight, hessian.to(weight.dtype))


def _joined(parts: tuple[GptqOutcome, ...]) -> GptqOutcome:
    """The outcome of all rows from those of its chunks."""
    if len(parts) == 1:
        return parts[0]
    zeros = [part.quantized.zero_points for part in parts if part.quantized.zero_points is not None]
    quantized = QuantizedWeight(
        torch.cat([part.quantized.integers for part in parts]),
        torch.cat([part.quantized.scales for part in parts]),
        torch.cat(zeros) if zeros else None,
    )
    return replace(parts[0], quantized=quantized, nearest_rows=sum(part.nearest_rows for part in parts))
