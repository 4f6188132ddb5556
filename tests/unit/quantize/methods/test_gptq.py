"""GPTQ against a straightforward implementation, and against rounding to nearest."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bitloom.errors import InputError
from quantize.errors import QuantizationError
from quantize.methods import LayerStatistics
from quantize.methods.gptq import quantize_gptq, quantize_gptq_widths
from quantize.methods.losses import relative_output_error, row_losses
from quantize.methods.rtn import quantize_rtn
from quantize.options import GptqOptions
from quantize.scheme import Scheme

Problem = Callable[..., tuple[Tensor, LayerStatistics]]
PLAIN = GptqOptions(act_order=False, keep_better_rows=False)


def scheme(bits: int, **changes: Any) -> Scheme:
    return Scheme(**{"bits": bits, "method": "gptq", "group_size": 32, "scale_dtype": "float32", **changes})


def eliminated(weight: Tensor, hessian: Tensor, layer: Scheme, order: list[int], *, static: bool) -> Tensor:
    """Optimal brain quantization in a fixed order, one column at a time, float64, the inverse downdated."""
    weight, work = weight.double(), weight.double().clone()
    damped = hessian.double() + 0.01 * hessian.double().diagonal().mean() * torch.eye(weight.shape[1])
    inverse = torch.linalg.inv(damped)
    low, high = layer.integer_range
    width = layer.group_width(weight.shape[1])
    done = torch.zeros_like(work)
    for column in order:
        group = slice(column // width * width, (column // width + 1) * width)
        if static or column % width == 0:
            scale = (weight if static else work)[:, group].abs().amax(1) / ((high - low) / 2)
        done[:, column] = (work[:, column] / scale).round().clamp(low, high) * scale
        error = (work[:, column] - done[:, column]) / inverse[column, column]
        work -= error[:, None] * inverse[column]
        inverse -= inverse[:, [column]] * inverse[[column]] / inverse[column, column]
        inverse[column, column] = 1.0
    return done.float()


@pytest.mark.parametrize("block", [1, 32, 64, 128])
@pytest.mark.parametrize("group_size", [32, 64, "channel"])
@pytest.mark.parametrize("static", [True, False])
def test_blocked_updates_equal_one_column_at_a_time(
    random_layer: Problem, block: int, group_size: Any, static: bool
) -> None:
    weight, statistics = random_layer(1, inputs=128)
    layer = scheme(3, group_size=group_size)
    options = GptqOptions(act_order=False, static_groups=static, block=block, keep_better_rows=False)
    found = quantize_gptq_widths(weight.double(), statistics.hessian.double(), [layer], options)[0].quantized
    expected = eliminated(weight, statistics.hessian, layer, list(range(128)), static=static)
    torch.testing.assert_close(found.dequantize(), expected, rtol=1e-5, atol=1e-6)


def test_act_order_walks_by_falling_diagonal(random_layer: Problem) -> None:
    weight, statistics = random_layer(2, inputs=64)
    order = statistics.hessian.diagonal().argsort(descending=True, stable=True).tolist()
    options = GptqOptions(keep_better_rows=False)
    found = quantize_gptq_widths(weight.double(), statistics.hessian.double(), [scheme(3)], options)[0]
    expected = eliminated(weight, statistics.hessian, scheme(3), order, static=True)
    torch.testing.assert_close(found.quantized.dequantize(), expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    bits=st.integers(2, 8),
    symmetric=st.booleans(),
    group_size=st.sampled_from([32, 64, "channel"]),
    samples=st.integers(1, 200),
    act_order=st.booleans(),
)
def test_every_row_loses_at_most_what_rounding_to_nearest_loses(
    random_layer: Problem,
    seed: int,
    bits: int,
    symmetric: bool,
    group_size: Any,
    samples: int,
    act_order: bool,
) -> None:
    weight, statistics = random_layer(seed, out=8, samples=samples)
    layer = scheme(bits, symmetric=symmetric, group_size=group_size)
    options = GptqOptions(act_order=act_order)
    own = quantize_gptq_widths(weight, statistics.hessian, [layer], options)[0].quantized
    low, high = layer.integer_range
    assert low <= int(own.integers.min()) <= int(own.integers.max()) <= high
    nearest = quantize_rtn(weight, None, layer)
    lost = row_losses(own.dequantize() - weight, statistics.hessian)
    assert bool((lost <= row_losses(nearest.dequantize() - weight, statistics.hessian) * (1 + 1e-4)).all())


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_gptq_is_clearly_better_on_correlated_inputs(random_layer: Problem, bits: int) -> None:
    weight, statistics = random_layer(3, inputs=128, samples=1000)
    error = {
        name: relative_output_error(weight, quantized.dequantize(), statistics.hessian)
        for name, quantized in {
            "gptq": quantize_gptq(weight, statistics, scheme(bits)),
            "rtn": quantize_rtn(weight, None, scheme(bits)),
        }.items()
    }
    assert error["gptq"] is not None
    assert error["rtn"] is not None
    assert error["gptq"] < 0.9 * error["rtn"]


def test_all_widths_at_once_equal_one_at_a_time(random_layer: Problem) -> None:
    weight, statistics = random_layer(4, inputs=128)
    schemes = [
        scheme(bits, symmetric=symmetric, group_size=size)
        for bits in (2, 5, 8)
        for symmetric in (True, False)
        for size in (64, 32)
    ]
    together = quantize_gptq_widths(weight, statistics.hessian, schemes)
    for layer, outcome in zip(schemes, together, strict=True):
        alone = quantize_gptq_widths(weight, statistics.hessian, [layer])[0].quantized
        differing = (alone.integers != outcome.quantized.integers).float().mean()
        assert float(differing) < 1e-3  # products of another shape may round a tie the other way
        assert torch.equal(alone.scales, outcome.quantized.scales)


def test_chunks_of_rows_change_nothing(random_layer: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    weight, statistics = random_layer(5, out=33)
    whole = quantize_gptq_widths(weight, statistics.hessian, [scheme(3), scheme(4, symmetric=False)], PLAIN)
    monkeypatch.setattr("quantize.methods.gptq.WALK_WEIGHTS", 64 * 20)
    parts = quantize_gptq_widths(weight, statistics.hessian, [scheme(3), scheme(4, symmetric=False)], PLAIN)
    for one, other in zip(whole, parts, strict=True):
        assert one.quantized.integers.shape == other.quantized.integers.shape
        assert float((one.quantized.integers != other.quantized.integers).float().mean()) < 1e-3


def test_an_all_zero_hessian_falls_back_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    weight = torch.randn(4, 64)
    outcome = quantize_gptq_widths(weight, torch.zeros(64, 64), [scheme(4)])[0]
    assert outcome.fallback is not None
    assert "all zero" in outcome.fallback
    assert "all zero" in caplog.text
    assert torch.equal(outcome.quantized.integers, quantize_rtn(weight, None, scheme(4)).integers)


def test_dead_inputs_are_rounded_to_nearest(random_layer: Problem) -> None:
    weight, statistics = random_layer(6)
    hessian = statistics.hessian.clone()
    hessian[:, 5] = hessian[5, :] = 0
    outcome = quantize_gptq_widths(weight, hessian, [scheme(4)], GptqOptions(keep_better_rows=False))[0]
    assert outcome.dead == 1
    assert torch.equal(outcome.quantized.integers[:, 5], quantize_rtn(weight, None, scheme(4)).integers[:, 5])


def test_what_is_not_finite_is_named(random_layer: Problem) -> None:
    weight, statistics = random_layer(7)
    with pytest.raises(QuantizationError, match="Hessian holds NaN"):
        quantize_gptq_widths(weight, statistics.hessian * float("nan"), [scheme(4)])
    with pytest.raises(QuantizationError, match="weight holds NaN"):
        quantize_gptq(weight * float("inf"), statistics, scheme(4))
    with pytest.raises(QuantizationError, match="needs calibration statistics"):
        quantize_gptq(weight, None, scheme(4))


def test_act_order_without_static_groups_is_refused() -> None:
    with pytest.raises(InputError, match="static_groups=True"):
        GptqOptions(act_order=True, static_groups=False)


def test_one_walk_serves_schemes_that_clip_and_that_do_not(random_layer: Problem) -> None:
    weight, statistics = random_layer(3)
    schemes = [scheme(3), scheme(3, clip=True), scheme(4)]
    together = quantize_gptq_widths(weight, statistics.hessian, schemes)
    for each, outcome in zip(schemes, together, strict=True):
        (alone,) = quantize_gptq_widths(weight, statistics.hessian, [each])
        assert torch.equal(outcome.quantized.integers, alone.quantized.integers)
    assert not torch.equal(together[0].quantized.scales, together[1].quantized.scales)
