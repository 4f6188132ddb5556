"""How much key-value cache an engine on the CPU gets when nobody says.

vLLM would take a share of all memory, and refuse to start where another worker has it already.
"""

from __future__ import annotations

from dataclasses import dataclass

MIN_BYTES = 64 << 20
MAX_SHARE = 4


@dataclass(frozen=True, slots=True)
class CacheShape:
    """What decides the size of a cached token: layers, key-value heads, their size, bytes a number."""

    layers: int
    heads: int
    head_size: int
    number_bytes: int

    @property
    def token_bytes(self) -> int:
        """Bytes that one token's keys and values take in all layers."""
        return 2 * self.layers * self.heads * self.head_size * self.number_bytes


def cache_bytes(shape: CacheShape, max_model_len: int, max_num_seqs: int, memory_bytes: int) -> int:
    """Room for `max_num_seqs` sequences of full length, up to a quarter of the machine's memory.

    Never less than one full sequence, which vLLM demands, nor than MIN_BYTES. Pages that are not
    used are not resident.
    """
    sequence = shape.token_bytes * max_model_len
    return max(MIN_BYTES, sequence, min(sequence * max_num_seqs, memory_bytes // MAX_SHARE))
