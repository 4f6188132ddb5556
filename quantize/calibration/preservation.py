"""Proof, on the real model and real inputs, that scales may move across each smoothing pair.

A family's table says which norm feeds which linears; whether it is right does not depend on the scales.
So each block is smoothed once with random ones and must still compute the same to 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from quantize.errors import QuantizationError
from quantize.families.smoothing import Feeds
from quantize.methods.smoothing import settle, shared_scales, smooth_block

TOLERANCE = 1e-5
_GREATEST = 4.0


def check_pairs(
    name: str, module: nn.Module, pairs: tuple[Feeds, ...], head_size: int | None, run: Callable[[], Tensor]
) -> None:
    """Raise QuantizationError naming the block where moving scales across its pairs changes `run()`.

    `run` computes the block's output on real inputs; `module` is left with the weights it had.
    """
    if not pairs:
        return
    tensors = {key: parameter.detach() for key, parameter in module.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    settled = [
        settle(pair, _random_scales(pair, tensors, head_size, generator), tensors, torch.float32, head_size)
        for pair in pairs
    ]
    before = run()
    with _Swapped(module, smooth_block(tensors, settled).tensors):
        after = run()
    gap = float((after - before).abs().max() / before.abs().max().clamp(min=1e-30))
    if not gap <= TOLERANCE:
        raise QuantizationError(
            f"{name}: moving scales between {', '.join(pair.source for pair in pairs)} and what they feed "
            f"changes its output by {gap:.1e}; use gptq or rtn for this checkpoint"
        )


def _random_scales(
    pair: Feeds, tensors: Mapping[str, Tensor], head_size: int | None, generator: torch.Generator
) -> Tensor:
    inputs = tensors[f"{pair.linears[0]}.weight"].shape[1]
    logarithms = (torch.rand(inputs, generator=generator) * 2 - 1) * torch.log(torch.tensor(_GREATEST))
    source = tensors[f"{pair.source}.weight"]
    scales = torch.exp(logarithms).to(source.device)
    return shared_scales(pair, scales, source.shape[0], head_size)


class _Swapped:
    """Other values in a module's parameters, for a while."""

    def __init__(self, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        self._parameters = {name: module.get_parameter(name) for name in tensors}
        self._others = tensors
        self._own: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        for name, parameter in self._parameters.items():
            self._own[name] = parameter.data
            parameter.data = self._others[name]

    def __exit__(self, *_: object) -> None:
        for name, parameter in self._parameters.items():
            parameter.data = self._own[name]
