"""Random layers and inputs with a few loud channels, as transformers have them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from quantize.methods import LayerStatistics

Problem = Callable[..., tuple[Tensor, LayerStatistics]]


def _random_layer(
    seed: int, out: int = 24, inputs: int = 64, samples: int = 300
) -> tuple[Tensor, LayerStatistics]:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.eye(inputs) + 0.5 * torch.randn(inputs, inputs, generator=generator) / inputs**0.5
    x = torch.randn(samples, inputs, generator=generator) @ mixing
    x = x * torch.exp(torch.randn(inputs, generator=generator))
    weight = torch.randn(out, inputs, generator=generator)
    return weight, LayerStatistics(x.T @ x, x.abs().mean(0), samples)


@pytest.fixture(scope="session")
def random_layer() -> Problem:
    """A function of a seed: a weight [out, inputs] and the statistics of correlated inputs."""
    return _random_layer
