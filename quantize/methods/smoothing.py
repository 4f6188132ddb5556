"""AWQ on a block: scales move from norms and linears to the linears they feed (maths: `awq.py`).

Names are relative to the block: linears as `self_attn.q_proj`, tensors as `self_attn.q_proj.weight`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from quantize.errors import QuantizationError
from quantize.families.smoothing import Feeds
from quantize.methods.awq import fold

_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class SmoothedBlock:
    """A block's tensors after smoothing, float32, those that changed; what each linear took on and gave up.

    `input_scales` [in] multiplied a linear's columns, `row_scales` [out] divided its rows.
    """

    tensors: dict[str, Tensor]
    input_scales: dict[str, Tensor]
    row_scales: dict[str, Tensor]

    def restored(self, linear: str, weight: Tensor) -> Tensor:
        """A weight [out, in] of the smoothed block as it acts in the original one."""
        if linear in self.input_scales:
            weight = weight / self.input_scales[linear]
        if linear in self.row_scales:
            weight = weight * self.row_scales[linear].unsqueeze(1)
        return weight


@dataclass(frozen=True, slots=True)
class SettledPair:
    """A pair's scales as they will be stored.

    `taken` [in] is what the linears take on, `rows` [out] what a linear source gives up (None for a
    norm), `dense` the source's tensors that change and are not quantized: a norm's, a linear's bias.
    """

    pair: Feeds
    taken: Tensor
    rows: Tensor | None
    dense: dict[str, Tensor]


def settle(
    pair: Feeds,
    wanted: Tensor,
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype,
    head_size: int | None = None,
) -> SettledPair:
    """Take `wanted` scales [in of the pair's linears] out of its source.

    `tensors` are the block's, in any float dtype; `dtype` is the one they are stored in, which norms
    are rounded to before the linears take on what the norms gave up. `head_size` is needed where
    several attention heads share a value head. Raises QuantizationError where that does not work out.
    """
    source = _float(tensors, f"{pair.source}.weight")
    bias = f"{pair.source}.bias"
    if pair.is_norm:
        given, taken = fold(source, wanted, dtype)
        dense = {f"{pair.source}.weight": given}
        if bias in tensors:
            dense[bias] = _float(tensors, bias) / taken
        return SettledPair(pair, taken, None, dense)
    rows = _source_rows(pair, wanted, source, head_size)
    return SettledPair(pair, wanted, rows, {bias: _float(tensors, bias) / rows} if bias in tensors else {})


def smooth_block(tensors: Mapping[str, Tensor], settled: Sequence[SettledPair]) -> SmoothedBlock:
    """The block's tensors after its pairs' scales have moved.

    Raises QuantizationError where a weight, its scales taken back, is not what it was to 1e-5.
    """
    input_scales = {linear: pair.taken for pair in settled for linear in pair.pair.linears}
    row_scales = {pair.pair.source: pair.rows for pair in settled if pair.rows is not None}
    changed = {name: tensor for pair in settled for name, tensor in pair.dense.items()}
    for linear in {*input_scales, *row_scales}:
        weight = _float(tensors, f"{linear}.weight")
        if linear in input_scales:
            weight = weight * input_scales[linear]
        if linear in row_scales:
            weight = weight / row_scales[linear].unsqueeze(1)
        changed[f"{linear}.weight"] = weight
    smoothed = SmoothedBlock(changed, input_scales, row_scales)
    _check_restored(tensors, smoothed)
    return smoothed


def shared_scales(pair: Feeds, values: Tensor, source_rows: int, head_size: int | None) -> Tensor:
    """Make per-input values [in] equal where inputs come from one row of the source (grouped heads).

    Values of inputs that share a row are replaced by their mean, so that scales made from them can be
    given up by that row.
    """
    count = source_rows // pair.part[1]
    if pair.is_norm or values.numel() == count:
        return values
    return _expanded(_by_row(pair, values, count, head_size).mean(1), values.numel() // count)


def _source_rows(pair: Feeds, scales: Tensor, weight: Tensor, head_size: int | None) -> Tensor:
    """What each row of a linear source gives up [out]: 1 outside the pair's part."""
    index, parts = pair.part
    count = weight.shape[0] // parts
    rows = torch.ones(weight.shape[0], device=weight.device)
    own = scales if scales.numel() == count else _by_row(pair, scales, count, head_size)[:, 0].reshape(-1)
    rows[index * count : (index + 1) * count] = own
    return rows


def _by_row(pair: Feeds, values: Tensor, count: int, head_size: int | None) -> Tensor:
    """Values [in] as [value heads, heads that share each, head size]."""
    if head_size is None or count % head_size or values.numel() % count:
        raise QuantizationError(
            f"{pair.source} has {count} outputs and {pair.linears[0]} {values.numel()} inputs: "
            "the config's head size does not say which feeds which; leave this pair out"
        )
    return values.view(count // head_size, values.numel() // count, head_size)


def _expanded(by_row: Tensor, repeats: int) -> Tensor:
    return by_row.unsqueeze(1).expand(-1, repeats, -1).reshape(-1)


def _check_restored(tensors: Mapping[str, Tensor], smoothed: SmoothedBlock) -> None:
    for linear in {*smoothed.input_scales, *smoothed.row_scales}:
        original = _float(tensors, f"{linear}.weight")
        restored = smoothed.restored(linear, smoothed.tensors[f"{linear}.weight"])
        gap = float((restored - original).abs().max() / original.abs().max().clamp(min=1e-30))
        if not gap <= _TOLERANCE:
            raise QuantizationError(f"smoothing changed {linear} by {gap:.1e} of its greatest weight")


def _float(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    return tensors[name].to(torch.float32)
