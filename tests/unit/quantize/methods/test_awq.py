"""AWQ's search never loses to rounding to nearest, and gains where inputs differ in loudness."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from quantize.errors import QuantizationError
from quantize.methods import LayerStatistics
from quantize.methods.awq import fold, quantize_awq, search_smoothing, smoothed_statistics
from quantize.methods.losses import relative_output_error, row_losses
from quantize.methods.rtn import quantize_rtn
from quantize.scheme import Scheme

Problem = Callable[..., tuple[Tensor, LayerStatistics]]


def scheme(bits: int, **changes: Any) -> Scheme:
    return Scheme(**{"bits": bits, "method": "awq", "group_size": 32, "scale_dtype": "float32", **changes})


def awq_error(weight: Tensor, statistics: LayerStatistics, layer: Scheme) -> float:
    found = search_smoothing([weight], statistics, [layer])
    smoothed = smoothed_statistics(statistics, found.scales)
    effective = quantize_awq(weight * found.scales, smoothed, layer).dequantize() / found.scales
    error = relative_output_error(weight, effective, statistics.hessian)
    assert error is not None
    return error


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    bits=st.integers(2, 8),
    symmetric=st.booleans(),
    group_size=st.sampled_from([32, 64, "channel"]),
)
def test_output_error_is_at_most_that_of_rounding_to_nearest(
    random_layer: Problem, seed: int, bits: int, symmetric: bool, group_size: Any
) -> None:
    weight, statistics = random_layer(seed)
    layer = scheme(bits, symmetric=symmetric, group_size=group_size)
    nearest = quantize_rtn(weight, None, layer).dequantize()
    plain = relative_output_error(weight, nearest, statistics.hessian)
    assert plain is not None
    assert awq_error(weight, statistics, layer) <= plain * (1 + 1e-4)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_loud_inputs_are_protected(random_layer: Problem, bits: int) -> None:
    weight, statistics = random_layer(1, inputs=128, out=64)
    found = search_smoothing([weight], statistics, [scheme(bits)])
    assert found.exponent is not None
    assert 0 <= found.exponent <= 1
    assert found.gain < 0.8
    loud = statistics.magnitudes.argmax()
    assert float(found.scales[loud]) > float(found.scales.median())
    nearest = quantize_rtn(weight, None, scheme(bits)).dequantize()
    plain = relative_output_error(weight, nearest, statistics.hessian)
    assert plain is not None
    assert awq_error(weight, statistics, scheme(bits)) < 0.85 * plain


def test_equal_inputs_and_weights_need_no_smoothing() -> None:
    statistics = LayerStatistics(torch.eye(64), torch.ones(64), 100)
    found = search_smoothing([torch.ones(8, 64)], statistics, [scheme(4)])
    assert found.exponent is None
    assert torch.equal(found.scales, torch.ones(64))


def test_inputs_that_never_fired_need_no_smoothing(random_layer: Problem) -> None:
    weight, _ = random_layer(2)
    silent = LayerStatistics(torch.zeros(64, 64), torch.zeros(64), 100)
    assert search_smoothing([weight], silent, [scheme(4)]).exponent is None
    rounded = quantize_awq(weight, silent, scheme(4))
    assert torch.equal(rounded.integers, quantize_rtn(weight, None, scheme(4)).integers)


def test_clipping_is_kept_only_where_it_helps(random_layer: Problem) -> None:
    weight, statistics = random_layer(3, out=64)
    clipped = quantize_awq(weight, statistics, scheme(3))
    nearest = quantize_rtn(weight, None, scheme(3))
    lost = row_losses(clipped.dequantize() - weight, statistics.hessian)
    plain = row_losses(nearest.dequantize() - weight, statistics.hessian)
    assert bool((lost <= plain * (1 + 1e-5)).all())
    assert float(lost.sum()) < 0.95 * float(plain.sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_folded_norm_gives_up_exactly_what_the_weights_take_on(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    norm = torch.rand(256, generator=generator).to(dtype).float()
    norm[7] = 0
    given_up, taken = fold(norm, torch.rand(256, generator=generator) + 0.1, dtype)
    assert torch.equal(given_up.to(dtype).float(), given_up)
    torch.testing.assert_close(given_up * taken, norm, rtol=1e-6, atol=0)
    assert bool((taken > 0).all())


def test_what_is_missing_or_not_finite_is_named(random_layer: Problem) -> None:
    weight, statistics = random_layer(4)
    with pytest.raises(QuantizationError, match="needs calibration statistics"):
        quantize_awq(weight, None, scheme(4))
    broken = LayerStatistics(statistics.hessian * float("nan"), statistics.magnitudes, 1)
    with pytest.raises(QuantizationError, match="Hessian holds NaN"):
        quantize_awq(weight, broken, scheme(4))
