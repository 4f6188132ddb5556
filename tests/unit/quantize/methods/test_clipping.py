"""Clip search by weights alone, and weighed by a Hessian."""

import pytest
import torch

from quantize.methods.clipping import search_grid
from quantize.methods.grids import fit_grid, round_to_grid
from quantize.methods.losses import relative_output_error, relative_weight_error, row_losses
from quantize.scheme import Scheme


def error(
    grouped: torch.Tensor, scheme: Scheme, grid: tuple[torch.Tensor, torch.Tensor | None]
) -> torch.Tensor:
    scales, zeros = grid
    rounded = round_to_grid(grouped, scales, zeros, scheme)
    return (rounded - (0 if zeros is None else zeros[..., None])) * scales[..., None] - grouped


def random_weights(rows: int = 16, groups: int = 2, width: int = 64) -> torch.Tensor:
    return torch.randn(rows, groups, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_no_group_loses_by_the_search(bits: int, symmetric: bool) -> None:
    scheme = Scheme(bits, symmetric=symmetric, scale_dtype="float32")
    weights = random_weights()
    plain = error(weights, scheme, fit_grid(weights, scheme)).square().sum(-1)
    searched = error(weights, scheme, search_grid(weights, scheme)).square().sum(-1)
    assert bool((searched <= plain).all())
    if bits <= 3:
        assert float(searched.sum()) < 0.9 * float(plain.sum())


def test_a_hessian_protects_the_weights_it_weighs() -> None:
    scheme = Scheme(3, scale_dtype="float32")
    weights = random_weights(groups=1)
    hessian = torch.diag(torch.exp(2 * torch.randn(64, generator=torch.Generator().manual_seed(1))))
    by_hessian = row_losses(error(weights, scheme, search_grid(weights, scheme, hessian))[:, 0], hessian)
    by_weights = row_losses(error(weights, scheme, search_grid(weights, scheme))[:, 0], hessian)
    assert float(by_hessian.sum()) < 0.95 * float(by_weights.sum())


def test_groups_too_wide_for_a_block_use_the_diagonal() -> None:
    scheme = Scheme(3, group_size="channel", scale_dtype="float32")
    weights = random_weights(groups=1, width=256)
    hessian = torch.diag(torch.rand(256, generator=torch.Generator().manual_seed(1)))
    cost = row_losses(error(weights, scheme, search_grid(weights, scheme, hessian))[:, 0], hessian)
    plain = row_losses(error(weights, scheme, fit_grid(weights, scheme))[:, 0], hessian)
    assert bool((cost <= plain * (1 + 1e-5)).all())


def test_errors_are_those_of_the_outputs() -> None:
    generator = torch.Generator().manual_seed(2)
    x, weight = torch.randn(50, 8, generator=generator), torch.randn(4, 8, generator=generator)
    other = weight + 0.1 * torch.randn(4, 8, generator=generator)
    expected = torch.linalg.norm(x @ (other - weight).T) / torch.linalg.norm(x @ weight.T)
    assert relative_output_error(weight, other, x.T @ x) == pytest.approx(float(expected), rel=1e-5)
    assert relative_output_error(weight, other, torch.zeros(8, 8)) is None
    assert relative_weight_error(torch.zeros(4, 8), other) is None
    assert relative_weight_error(weight, weight) == 0
