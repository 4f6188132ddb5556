"""Packed products on this CPU, by width and rows, beside torch's own kernels and the memory bandwidth.

    python -m benchmarks.cpu_kernel

Every measurement is the best of interleaved rounds, over so many copies of the weights that none is in a
cache. Bandwidth is that of summing a large array, as much at a time as a product reads; where products seem
to read faster than that, the machine was too busy to measure it, and the bar does not hold. The last figures
say from how many rows on the platform's GEMM on unpacked tiles wins: `server/workers/kernels/crossover.py` is
written from them.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from benchmarks.harness import Figures
from server.workers.kernels import ops
from server.workers.kernels.library import ISAS, Kernels, kernels
from server.workers.kernels.linear import multiply
from server.workers.kernels.packed import PackedShape, PackedWeight

OUTPUTS, INPUTS, GROUP = 4096, 4096, 64
WIDTHS = (2, 3, 4, 5, 6, 7, 8)
CHUNK_BYTES = 16 << 20  # about what a product of one row reads
COLD_BYTES = 160 << 20  # more than any last-level cache's share
ROUNDS = 7
PREFILL_ROWS = (2, 4, 8, 16, 32, 64, 128, 577)
MIN_SHARE, MOST_SHARE = 0.6, 1.2
Timed = Callable[[], object]


def main() -> int:
    """Measure one row against bandwidth and peers, then many rows against the GEMM."""
    library = kernels()
    if library is None:
        print("no packed kernels here: nothing to measure")
        return 1
    figures: dict[str, float | int | str] = {"instruction set": ISAS[library.isa]}
    figures["threads"] = torch.get_num_threads()
    seconds = best_seconds({**one_row(), **peers(1), "read": bandwidth_probe()})
    bandwidth = CHUNK_BYTES / seconds.pop("read")
    figures["bandwidth, GB/s"] = bandwidth / 1e9
    for name, value in seconds.items():
        figures[f"1 row, {name}: ms"] = value * 1e3
    shares = {bits: resident(bits) / seconds[f"{bits} bits"] / bandwidth for bits in WIDTHS}
    figures |= {f"1 row, {bits} bits: share of bandwidth": share for bits, share in shares.items()}
    figures |= many_rows(library)
    slower = seconds["3 bits"] / seconds["4 bits"]
    figures["1 row, 3 bits / 4 bits: time"] = slower
    bar = f"one row of 4 bits at {MIN_SHARE:.0%} of bandwidth, 3 bits not slower than 4"
    return Figures("cpu_kernel", figures, bar, MIN_SHARE <= shares[4] <= MOST_SHARE and slower <= 1.0).close()


def random_weight(bits: int) -> PackedWeight:
    """Random integers of a width in the kernels' layout, with scales of one group in 64."""
    packed = torch.randint(0, 256, (OUTPUTS * INPUTS * bits // 8,), dtype=torch.uint8)
    scales = torch.rand(OUTPUTS // 16, INPUTS // GROUP, 16).bfloat16()
    return PackedWeight(packed, scales, None, PackedShape(bits, GROUP, OUTPUTS, INPUTS))


def resident(bits: int) -> int:
    """Bytes that a product of one row reads."""
    return OUTPUTS * INPUTS * bits // 8 + 2 * OUTPUTS * INPUTS // GROUP


def one_row() -> dict[str, Timed]:
    """A product of one bfloat16 row at each width, every call on the next of enough copies."""
    x = torch.randn(1, INPUTS).bfloat16()
    calls: dict[str, Timed] = {}
    for bits in WIDTHS:
        weight = random_weight(bits)
        calls[f"{bits} bits"] = over(copies(weight), x)
    return calls


def copies(weight: PackedWeight) -> list[PackedWeight]:
    """The weight and as many copies as make its bytes cold."""
    count = -(-COLD_BYTES // weight.packed.numel())
    return [PackedWeight(weight.packed.clone(), weight.scales, None, weight.shape) for _ in range(count)]


def over(weights: Iterable[PackedWeight], x: Tensor) -> Timed:
    """A call that multiplies by the next weight each time."""
    turn: Iterator[PackedWeight] = itertools.cycle(weights)
    return lambda: multiply(x, next(turn), None)


def peers(rows: int) -> dict[str, Timed]:
    """torch's own products of the same shape: float32, bfloat16, and 4 bits where this build has it."""
    x, dense = torch.randn(rows, INPUTS), torch.randn(OUTPUTS, INPUTS)
    many = itertools.cycle([dense.clone() for _ in range(4)])
    many_half = itertools.cycle([dense.bfloat16() for _ in range(6)])
    half = x.bfloat16()
    calls: dict[str, Timed] = {
        "torch float32": lambda: torch.nn.functional.linear(x, next(many)),
        "torch bfloat16": lambda: torch.nn.functional.linear(half, next(many_half)),
    }
    try:
        integers = torch.randint(0, 16, (OUTPUTS, INPUTS), dtype=torch.int32)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(integers, 1)
        scales = torch.rand(INPUTS // GROUP, OUTPUTS, 2).bfloat16()
        stock = itertools.cycle([packed.clone() for _ in range(COLD_BYTES // packed.nbytes + 1)])
        torch.ops.aten._weight_int4pack_mm_for_cpu(half, packed, GROUP, scales)
    except (RuntimeError, AttributeError) as exc:
        print(f"torch's int4pack is not to be had here: {exc}")
    else:
        calls["torch int4pack"] = lambda: torch.ops.aten._weight_int4pack_mm_for_cpu(
            half, next(stock), GROUP, scales
        )
    return calls


def bandwidth_probe() -> Timed:
    """Reads CHUNK_BYTES of cold memory; no more, since a busy machine cuts off whoever runs for long."""
    chunks = torch.ones(COLD_BYTES // 2, dtype=torch.float32).view(-1, CHUNK_BYTES // 4)
    turn = itertools.cycle(chunks)
    return lambda: next(turn).sum()


def many_rows(library: Kernels) -> dict[str, float | int | str]:
    """Our kernel against unpacking for the GEMM, and torch's bfloat16, for a growing number of rows."""
    figures: dict[str, float | int | str] = {}
    weight = random_weight(4)
    described = ops.c_weight(weight.packed, weight.scales, None, None, 4, GROUP, OUTPUTS, INPUTS)
    crossing: int | str = "never"
    for rows in PREFILL_ROWS:
        x = torch.randn(rows, INPUTS).bfloat16()
        y = torch.empty(rows, OUTPUTS, dtype=torch.bfloat16)

        def by_kernel(x: Tensor = x, y: Tensor = y, rows: int = rows) -> None:
            library.library.bl_linear(
                described, x.data_ptr(), INPUTS, rows, y.data_ptr(), OUTPUTS, 1, 0, library.isa,
                torch.get_num_threads(),
            )  # fmt: skip

        def by_gemm(x: Tensor = x, y: Tensor = y) -> None:
            ops._by_gemm(library, described, x, None, y)

        seconds = best_seconds({"kernel": by_kernel, "GEMM": by_gemm}, rounds=3)
        figures |= {f"{rows} rows, 4 bits, {name}: ms": value * 1e3 for name, value in seconds.items()}
        if crossing == "never" and seconds["GEMM"] < seconds["kernel"]:
            crossing = rows
    figures["rows from which the GEMM wins"] = crossing
    return figures


def best_seconds(calls: dict[str, Timed], rounds: int = ROUNDS) -> dict[str, float]:
    """Shortest time of each call over interleaved rounds, after one that does not count."""
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn:
                best[name] = min(best[name], time.perf_counter() - started)
    return best


if __name__ == "__main__":
    sys.exit(main())
