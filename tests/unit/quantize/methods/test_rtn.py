"""Round to nearest: the grid of compressed-tensors, and every weight on its nearest point."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitloom.plan import GroupSize
from quantize.errors import QuantizationError
from quantize.methods import rtn
from quantize.methods.rtn import quantize_rtn
from quantize.scheme import Scheme

SCHEMES = st.builds(
    Scheme,
    bits=st.integers(2, 8),
    group_size=st.sampled_from([32, 64, 128, "channel"]),
    symmetric=st.booleans(),
    scale_dtype=st.sampled_from(["float32", "bfloat16"]),
)


@given(SCHEMES, st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_every_weight_lies_on_the_nearest_point_of_its_grid(scheme: Scheme, seed: int) -> None:
    weight = torch.randn((6, 128), generator=torch.Generator().manual_seed(seed)) * 3
    quantized = quantize_rtn(weight, None, scheme)
    low, high = scheme.integer_range
    assert quantized.integers.dtype == torch.int8
    assert low <= int(quantized.integers.min())
    assert int(quantized.integers.max()) <= high
    assert quantized.scales.shape == (6, scheme.groups(128))
    assert (quantized.zero_points is None) == scheme.symmetric
    # Nothing is farther off than half a step, but for what the clamp at the range's ends takes: half a
    # step more, and the rounding of the scale itself (bfloat16: 2^-8 over half the range).
    steps = quantized.scales.float().repeat_interleave(128 // scheme.groups(128), dim=1)
    excess = 2.0**-8 * (1 << scheme.bits) if scheme.scale_dtype == "bfloat16" else 1e-4
    limit = 0.5 + 0.5 + excess if scheme.symmetric or scheme.scale_dtype == "bfloat16" else 0.5 + excess
    assert float(((quantized.dequantize() - weight).abs() / steps).max()) <= limit


def test_the_symmetric_grid_spreads_the_greatest_magnitude_over_half_the_range() -> None:
    weight = torch.tensor([[-3.5, 1.0, 0.4, 3.5]])
    quantized = quantize_rtn(weight, None, Scheme(bits=3, group_size="channel", scale_dtype="float32"))
    assert quantized.scales.tolist() == [[1.0]]
    assert quantized.integers.tolist() == [[-4, 1, 0, 3]]


def test_the_asymmetric_grid_holds_zero_and_both_ends() -> None:
    weight = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    scheme = Scheme(bits=2, group_size="channel", symmetric=False, scale_dtype="float32")
    quantized = quantize_rtn(weight, None, scheme)
    assert quantized.zero_points is not None
    assert quantized.zero_points.tolist() == [[-2]]
    torch.testing.assert_close(quantized.dequantize(), weight)


def test_more_bits_and_smaller_groups_err_less() -> None:
    weight = torch.randn((32, 128), generator=torch.Generator().manual_seed(0))

    def error(bits: int, group_size: GroupSize) -> float:
        scheme = Scheme(bits=bits, group_size=group_size, scale_dtype="float32")
        return float((quantize_rtn(weight, None, scheme).dequantize() - weight).norm())

    by_bits = [error(bits, 128) for bits in range(2, 9)]
    assert by_bits == sorted(by_bits, reverse=True)
    assert error(3, 32) < error(3, 64) < error(3, 128)


def test_an_all_zero_group_stays_zero() -> None:
    for symmetric in (True, False):
        quantized = quantize_rtn(
            torch.zeros((2, 64)), None, Scheme(bits=4, group_size=32, symmetric=symmetric)
        )
        assert int(quantized.dequantize().count_nonzero()) == 0


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn((7, 64), generator=torch.Generator().manual_seed(0))
    whole = quantize_rtn(weight, None, Scheme(bits=4, group_size=32, symmetric=False))
    monkeypatch.setattr(rtn, "_CHUNK_WEIGHTS", 128)
    parts = quantize_rtn(weight, None, Scheme(bits=4, group_size=32, symmetric=False))
    assert torch.equal(whole.integers, parts.integers)
    assert torch.equal(whole.scales, parts.scales)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    weight = torch.ones((2, 32))
    weight[1, 3] = value
    with pytest.raises(QuantizationError, match="NaN or infinity"):
        quantize_rtn(weight, None, Scheme(bits=4, group_size=32))


def test_a_searched_clip_errs_less_on_outliers_and_never_more() -> None:
    weight = torch.randn((16, 128), generator=torch.Generator().manual_seed(1))
    weight[:8, 5] = 8.0
    plain = Scheme(bits=3, group_size=64, scale_dtype="float32")
    clipped = Scheme(bits=3, group_size=64, scale_dtype="float32", clip=True)
    lost = [(quantize_rtn(weight, None, each).dequantize() - weight).square() for each in (plain, clipped)]
    groups = [each.view(16, 2, 64).sum(-1) for each in lost]
    assert bool((groups[1] <= groups[0] * (1 + 1e-6)).all())
    assert float(groups[1][:8, 0].sum()) < 0.9 * float(groups[0][:8, 0].sum())
