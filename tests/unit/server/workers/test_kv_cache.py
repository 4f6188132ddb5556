"""The key-value cache's default size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.workers.kv_cache import MIN_BYTES, CacheShape, cache_bytes

GIB = 1 << 30
LLAMA_7B = CacheShape(layers=32, heads=32, head_size=128, number_bytes=2)


def test_a_token_of_llama_7b_takes_half_a_mebibyte() -> None:
    assert LLAMA_7B.token_bytes == 1 << 19


def test_small_models_get_the_minimum() -> None:
    assert cache_bytes(CacheShape(4, 4, 64, 2), 256, 16, 16 * GIB) == MIN_BYTES


def test_large_models_get_a_quarter_of_the_memory() -> None:
    assert cache_bytes(LLAMA_7B, 4096, 16, 64 * GIB) == 16 * GIB


@given(st.integers(1, 1 << 15), st.integers(1, 256), st.integers(0, 1 << 40))
def test_one_full_sequence_always_fits(length: int, sequences: int, memory: int) -> None:
    size = cache_bytes(LLAMA_7B, length, sequences, memory)
    assert size >= max(MIN_BYTES, LLAMA_7B.token_bytes * length)
    assert size <= max(MIN_BYTES, LLAMA_7B.token_bytes * length * sequences)
