"""Dense packing: the bytes of compressed-tensors >= 0.18 at every width, and back without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitloom import packing

WIDTHS = range(packing.MIN_BITS, packing.MAX_BITS + 1)

# Words of `pack_to_int32` of compressed-tensors 0.18.0 for the integers of `golden_values`, read as
# unsigned. 0.17.0 gives the same for 2, 4 and 8 bits only.
GOLDEN = {
    2: [454761243, 454761243, 795, 3334915782, 3334915782, 710],
    3: [1930786931, 2020808056, 360215317, 30835, 720430634, 3861573862, 4041616112, 26154],
    4: [
        95373795, 2368192875, 95373795, 2368192875, 1001955,
        2081861722, 4104009938, 2081861722, 4104009938, 438362,
    ],
    5: [
        1962042819, 2118441857, 668157796, 3406124538, 3276109318, 15885763,
        577618106, 3919819327, 2192243987, 2730165093, 2033377761, 7192762,
    ],
    6: [
        2945553283, 429604958, 2715060211, 2672861107, 361431898, 1624291250, 252943267,
        1190070618, 2406653380, 4283063884, 1991116106, 2338479296, 3192278543, 644678010,
    ],
    7: [
        4102440707, 1537283538, 2424282227, 1597198452, 3612736146, 2286619393, 2973111157, 4036917091, 0,
        1735135898, 4073681548, 1239573054, 717913809, 806317432, 1846977070, 3750939880, 1667498746, 2,
    ],
    8: [
        605621763, 1346714159, 2087806555, 2828898951, 3569991347,
        16116447, 740365835, 1481458231, 2222550627, 143,
        3148916122, 3890008518, 319356402, 1060383006, 1801475402,
        2542567798, 3283660194, 4024752590, 454034938, 38,
    ],
}  # fmt: skip


def golden_values(bits: int) -> packing.Integers:
    steps = (np.arange(2 * 37) * 11 + 3) % (1 << bits) - (1 << (bits - 1))
    return steps.astype(np.int8).reshape(2, 37)


@st.composite
def integers(draw: st.DrawFn) -> tuple[int, packing.Integers]:
    bits = draw(st.integers(2, 8))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 70)))
    seed = draw(st.integers(0, 2**32 - 1))
    low, high = -(1 << (bits - 1)), 1 << (bits - 1)
    return bits, np.random.default_rng(seed).integers(low, high, shape).astype(np.int8)


@pytest.mark.parametrize("bits", WIDTHS)
def test_words_are_those_of_the_reference(bits: int) -> None:
    words = packing.pack(golden_values(bits), bits)
    assert words.view(np.uint32).flatten().tolist() == GOLDEN[bits]


@given(integers())
@settings(deadline=None)
def test_unpacking_returns_what_was_packed(case: tuple[int, packing.Integers]) -> None:
    bits, values = case
    words = packing.pack(values, bits)
    assert words.dtype == np.int32
    assert words.shape == (values.shape[0], -(-values.shape[1] * bits // 32))
    np.testing.assert_array_equal(packing.unpack(words, bits, values.shape[1]), values)


@given(integers())
@settings(deadline=None)
def test_zero_points_are_packed_along_the_outputs(case: tuple[int, packing.Integers]) -> None:
    bits, values = case
    words = packing.pack_zero_points(values, bits)
    np.testing.assert_array_equal(words, packing.pack(np.ascontiguousarray(values.T), bits).T)
    np.testing.assert_array_equal(packing.unpack_zero_points(words, bits, values.shape[0]), values)


@given(integers())
@settings(deadline=None)
def test_a_wider_container_holds_the_same_integers(case: tuple[int, packing.Integers]) -> None:
    _, values = case
    np.testing.assert_array_equal(packing.unpack(packing.pack(values, 8), 8, values.shape[1]), values)


@pytest.mark.parametrize("bits", range(2, 8))
def test_a_value_outside_the_width_is_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=f"{bits} bits hold only"):
        packing.pack(np.array([[1 << (bits - 1)]], dtype=np.int8), bits)


@pytest.mark.parametrize("bits", [1, 9])
def test_other_widths_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=r"2\.\.8"):
        packing.pack(np.zeros((1, 1), dtype=np.int8), bits)


def test_words_that_do_not_fit_the_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="take 3"):
        packing.unpack(np.zeros((1, 4), dtype=np.int32), 3, 32)


def test_dequantizing_subtracts_zero_points_and_scales_each_group() -> None:
    values = np.array([[1, 2, 3, 4]], dtype=np.int8)
    scales = np.array([[0.5, 2.0]], dtype=np.float32)
    zeros = np.array([[1, -1]], dtype=np.int8)
    np.testing.assert_array_equal(packing.dequantize(values, scales, zeros), [[0, 0.5, 8, 10]])
    np.testing.assert_array_equal(packing.dequantize(values, scales), [[0.5, 1, 6, 8]])
