"""The memory's bandwidth, and one row through the packed kernel against it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import torch

from server.workers.kernels.library import kernels
from server.workers.kernels.linear import multiply
from server.workers.kernels.packed import PackedShape, PackedWeight

COLD_BYTES = 256 << 20  # more than any last-level cache
CHUNK_BYTES = 16 << 20  # about what a product of one row reads
ROUNDS = 30
OUTPUTS, INPUTS, GROUP, BITS = 8192, 4096, 64, 4


class Bandwidth:
    """Bytes a second that all threads together read of cold memory; `look` measures again."""

    def __init__(self) -> None:
        self._chunks = torch.ones(COLD_BYTES // 4, dtype=torch.float32).view(-1, CHUNK_BYTES // 4)
        self.best = 0.0

    def look(self) -> None:
        """Read everything once more, in chunks of a product's size."""
        for chunk in self._chunks:
            seconds = timed(chunk.sum)
            self.best = max(self.best, CHUNK_BYTES / seconds)


def one_row_share() -> dict[str, float | int | str]:
    """One bfloat16 row by 4-bit weights: bytes read a second, over the bandwidth of the same rounds."""
    if kernels() is None:
        return {"one row, 4 bits: share of bandwidth": 0.0}
    packed = torch.randint(0, 256, (OUTPUTS * INPUTS * BITS // 8,), dtype=torch.uint8)
    scales = torch.rand(OUTPUTS // 16, INPUTS // GROUP, 16).bfloat16()
    shape = PackedShape(BITS, GROUP, OUTPUTS, INPUTS)
    weights = [
        PackedWeight(packed.clone(), scales.clone(), None, shape) for _ in range(COLD_BYTES // packed.numel())
    ]
    x = torch.randn(1, INPUTS).bfloat16()
    bandwidth, best = Bandwidth(), float("inf")
    turn = itertools.cycle(weights)
    for _ in range(ROUNDS):
        bandwidth.look()
        for _ in weights:
            best = min(best, timed(lambda: multiply(x, next(turn), None)))
    read = packed.numel() + 2 * scales.numel()
    return {
        "one row, 4 bits: ms": best * 1e3,
        "one row, bandwidth, GB/s": bandwidth.best / 1e9,
        "one row, 4 bits: share of bandwidth": read / best / bandwidth.best,
    }


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
