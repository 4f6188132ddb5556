"""The factor GPTQ walks along."""

import pytest
import torch

from quantize.errors import QuantizationError
from quantize.methods.factor import factorise


def hessian_of(samples: int, inputs: int = 48) -> torch.Tensor:
    x = torch.randn(samples, inputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x.T @ x


def test_the_factor_is_the_upper_cholesky_factor_of_the_inverse() -> None:
    hessian = hessian_of(200)
    factor = factorise(hessian, damping=0.01)
    assert factor is not None
    damped = hessian + 0.01 * hessian.diagonal().mean() * torch.eye(48, dtype=torch.float64)
    expected = torch.linalg.cholesky(torch.linalg.inv(damped), upper=True)
    torch.testing.assert_close(factor.upper, expected, rtol=1e-9, atol=1e-9)
    assert factor.order is None
    assert factor.damping == 0.01


def test_damping_rises_until_cholesky_succeeds() -> None:
    hessian = hessian_of(10)
    hessian -= 0.02 * hessian.diagonal().mean() * torch.eye(48, dtype=torch.float64)  # a little indefinite
    factor = factorise(hessian, damping=0.01)
    assert factor is not None
    assert factor.damping == pytest.approx(0.1)
    undamped = factorise(hessian, damping=0.0)
    assert undamped is not None
    assert undamped.damping > 0.02


def test_a_matrix_that_is_no_hessian_is_refused() -> None:
    hessian = hessian_of(200)
    hessian[0, 1] = hessian[1, 0] = 1e4
    with pytest.raises(QuantizationError, match="not positive semidefinite"):
        factorise(hessian)


def test_dead_inputs_are_decoupled_and_counted() -> None:
    hessian = hessian_of(200)
    hessian[3, :] = hessian[:, 3] = 0
    factor = factorise(hessian, act_order=True)
    assert factor is not None
    assert factor.dead == 1
    assert factor.order is not None
    place = factor.order.tolist().index(3)
    others = factor.upper[place].clone()
    others[place] = 0
    assert not bool(others.any())


def test_an_all_zero_hessian_has_no_factor() -> None:
    assert factorise(torch.zeros(4, 4)) is None
