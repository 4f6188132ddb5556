"""The layouts of AutoAWQ and GPTQ, against their definitions written out value by value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.foreign.packing import (
    AWQ_ORDER,
    GPTQ_BITS,
    pack_awq,
    pack_gptq,
    pack_gptq_zeros,
    unpack_awq,
    unpack_gptq,
    unpack_gptq_zeros,
)


def random_integers(rows: int, cols: int, bits: int, seed: int = 0) -> np.ndarray:
    half = 1 << (bits - 1)
    return np.random.default_rng(seed).integers(-half, half, (rows, cols)).astype(np.int8)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_gptq_holds_neighbouring_inputs_in_a_word(bits: int) -> None:
    integers = random_integers(16, 64, bits)
    qweight = pack_gptq(integers, bits)
    per_word, mask = 32 // bits, (1 << bits) - 1
    assert qweight.shape == (64 // per_word, 16)
    for out, inp in ((0, 0), (3, 17), (15, 63)):
        word = int(qweight[inp // per_word, out]) & 0xFFFFFFFF
        assert (word >> bits * (inp % per_word)) & mask == int(integers[out, inp]) + (1 << (bits - 1))


def test_three_bits_cross_words_as_autogptq_packs_them() -> None:
    # AutoGPTQ, qlinear_cuda_old.py, pack(): value 10 has two bits in word 0 and one in word 1
    integers = random_integers(1, 32, 3)
    words = pack_gptq(integers, 3)[:, 0].astype(np.int64) & 0xFFFFFFFF
    unsigned = integers[0].astype(np.int64) + 4
    assert words[0] >> 30 == unsigned[10] & 3
    assert words[1] & 1 == unsigned[10] >> 2
    assert (words[1] >> 1) & 7 == unsigned[11]
    assert words[1] >> 31 == unsigned[21] & 1
    assert words[2] & 3 == unsigned[21] >> 1


def test_awq_shuffles_eight_outputs_of_a_word() -> None:
    integers = random_integers(24, 40, 4)
    words = pack_awq(integers)
    assert words.shape == (40, 3)
    word = int(words[7, 2]) & 0xFFFFFFFF
    for place, output in enumerate(AWQ_ORDER):
        assert (word >> 4 * place) & 15 == int(integers[16 + output, 7]) + 8


def test_version_one_stores_zero_points_less_one() -> None:
    symmetric = np.zeros((8, 2), dtype=np.int8)
    assert (pack_gptq_zeros(symmetric, 4, less_one=True) == 0x77777777).all()
    assert (pack_gptq_zeros(symmetric, 4, less_one=False).view(np.uint32) == 0x88888888).all()


@given(st.sampled_from(GPTQ_BITS), st.booleans(), st.integers(0, 2**32 - 1))
def test_what_is_packed_is_unpacked(bits: int, less_one: bool, seed: int) -> None:
    integers, zeros = random_integers(32, 96, bits, seed), random_integers(32, 3, bits, seed)
    np.testing.assert_array_equal(unpack_gptq(pack_gptq(integers, bits), bits, 96), integers)
    packed = pack_gptq_zeros(zeros, bits, less_one=less_one)
    np.testing.assert_array_equal(unpack_gptq_zeros(packed, bits, 32, less_one=less_one), zeros)
    if bits == 4:
        np.testing.assert_array_equal(unpack_awq(pack_awq(integers)), integers)
        np.testing.assert_array_equal(unpack_awq(pack_awq(zeros)), zeros)
