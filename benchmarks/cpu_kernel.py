"""Packed products on this CPU, by shape, width and rows, beside torch's own kernels and the memory bandwidth.

    python -m benchmarks.cpu_kernel [--threads N ...]

One row: the seven products of a decoder layer of Llama-3.2-1B, each the best of interleaved rounds, over so
many copies of the weights that none is in a cache; a layer's time is the sum of theirs. Bandwidth is that of
summing a large array, a piece at a time; where products seem to read faster than that, the machine was too
busy to measure it, and the bar does not hold. Many rows: one of those shapes against unpacking for the
platform's GEMM and torch's own; `server/workers/kernels/crossover.py` is written from them.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.harness import Figures, peer_home
from server.workers.kernels import ops
from server.workers.kernels.library import ISAS, kernels
from server.workers.kernels.packed import PackedShape, PackedWeight

GROUP = 64
WIDTHS = (2, 3, 4, 5, 6, 7, 8)
CHUNK_BYTES = 16 << 20
COLD_BYTES = 96 << 20  # more than any last-level cache's share
ROUNDS, PREFILL_ROUNDS = 25, 3
PREFILL_ROWS = (16, 64, 577)
MIN_SHARE, MOST_SHARE = 0.6, 1.2
LLAMA = "llama.cpp Q4_0"
Timed = Callable[[], object]
Values = dict[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Product:
    """A weight of a decoder layer [outputs, inputs], and how many of it the layer has."""

    outputs: int
    inputs: int
    count: int


LAYER = (
    Product(2048, 2048, 2),  # q, o
    Product(512, 2048, 2),  # k, v
    Product(8192, 2048, 2),  # gate, up
    Product(2048, 8192, 1),  # down
)
PREFILL = LAYER[0]


def main() -> int:
    """Measure one row with each number of threads, then many rows with the most; judge them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()}))
    library = kernels()
    if library is None:
        print("no packed kernels here: nothing to measure")
        return 1
    ops.operators()
    figures: Values = {"instruction set": ISAS[library.isa]}
    bars: dict[str, bool] = {}
    with torch.inference_mode():
        for threads in parser.parse_args().threads:
            torch.set_num_threads(threads)
            found, held = one_row()
            figures |= {f"{threads} threads, {name}": value for name, value in found.items()}
            bars |= {f"{name} ({threads} threads)": holds for name, holds in held.items()}
        found, prefill_bar = many_rows()
    figures |= found
    bars |= prefill_bar
    missed = [name for name, holds in bars.items() if not holds]
    bar = "; ".join(bars) + (f" (missed: {'; '.join(missed)})" if missed else "")
    return Figures("cpu_kernel", figures, bar, not missed).close()


def one_row() -> tuple[Values, dict[str, bool]]:
    """Times of one bfloat16 row through a layer by contender, and what they must come to."""
    figures: Values = {}
    layer: dict[str, float] = {}
    bandwidth = 0.0
    for product in LAYER:
        seconds = best_seconds({**packed(product), **peers(product), "read": bandwidth_probe()}, ROUNDS)
        bandwidth = max(bandwidth, CHUNK_BYTES / seconds.pop("read"))
        for name, value in seconds.items():
            layer[name] = layer.get(name, 0.0) + product.count * value
            figures[f"{product.outputs}x{product.inputs}, {name}: ms"] = value * 1e3
    figures |= {f"layer, {name}: ms": value * 1e3 for name, value in layer.items()}
    figures["bandwidth, GB/s"] = bandwidth / 1e9
    for name, value in layer.items():
        if name.split(" ")[0].isdigit():
            figures[f"layer, {name}: share of bandwidth"] = layer_bytes(int(name[0])) / value / bandwidth
    dense = layer["torch bfloat16"]
    share = layer_bytes(4) / layer["4 bits"] / bandwidth
    bars = {
        f"4 bits at {MIN_SHARE:.0%} of bandwidth": MIN_SHARE <= share <= MOST_SHARE,
        "3 bits not slower than 4": layer["3 bits"] <= layer["4 bits"],
        "4 bits 2.0 x bfloat16": dense >= 2.0 * layer["4 bits"],
        "8 bits 1.4 x bfloat16": dense >= 1.4 * layer["8 bits"],
    }
    if LLAMA in layer:
        bars["4 bits as fast as llama.cpp's Q4_0"] = layer["4 bits"] <= layer[LLAMA]
    return figures, bars


def random_weight(bits: int, product: Product) -> PackedWeight:
    """Random integers of a width in the kernels' layout."""
    packed = torch.randint(0, 256, (product.outputs * product.inputs * bits // 8,), dtype=torch.uint8)
    scales = torch.rand(product.outputs // 16, product.inputs // GROUP, 16).bfloat16()
    return PackedWeight(packed, scales, None, PackedShape(bits, GROUP, product.outputs, product.inputs))


def layer_bytes(bits: int) -> int:
    """Bytes that one row through the layer reads."""
    weights = sum(product.count * product.outputs * product.inputs for product in LAYER)
    return weights * bits // 8 + 2 * weights // GROUP


def multiply(x: Tensor, weight: PackedWeight, int8: bool) -> Tensor:
    """The operator, with or without rounding activations to 8 bits."""
    shape = weight.shape
    y: Tensor = torch.ops.bitloom.packed_linear(
        x,
        weight.packed,
        weight.scales,
        None,
        shape.bits,
        shape.group,
        shape.outputs,
        shape.inputs,
        None,
        int8,
    )
    return y


def packed(product: Product) -> dict[str, Timed]:
    """A product of one bfloat16 row at each width, every call on the next of enough copies."""
    x = torch.randn(1, product.inputs).bfloat16()
    calls: dict[str, Timed] = {}
    for bits in WIDTHS:
        weight = random_weight(bits, product)
        count = -(-COLD_BYTES // weight.packed.numel())
        copies = [
            PackedWeight(weight.packed.clone(), weight.scales, None, weight.shape) for _ in range(count)
        ]
        for int8 in (False, True) if bits in (3, 4, 8) else (False,):
            turn = itertools.cycle(copies)
            name = f"{bits} bits, 8-bit activations" if int8 else f"{bits} bits"
            calls[name] = lambda x=x, turn=turn, int8=int8: multiply(x, next(turn), int8)  # type: ignore[misc]
    return calls


def peers(product: Product) -> dict[str, Timed]:
    """torch's own products of one row of the same shape: bfloat16, and 4 bits where this build has it."""
    half = torch.randn(1, product.inputs).bfloat16()
    dense = torch.randn(product.outputs, product.inputs).bfloat16()
    many = itertools.cycle([dense.clone() for _ in range(-(-COLD_BYTES // dense.nbytes))])
    calls: dict[str, Timed] = {"torch bfloat16": lambda: torch.nn.functional.linear(half, next(many))}
    try:
        integers = torch.randint(0, 16, (product.outputs, product.inputs), dtype=torch.int32)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(integers, 1)
        scales = torch.rand(product.inputs // GROUP, product.outputs, 2).bfloat16()
        stock = itertools.cycle([packed.clone() for _ in range(-(-COLD_BYTES // packed.nbytes))])
        torch.ops.aten._weight_int4pack_mm_for_cpu(half, packed, GROUP, scales)
    except (RuntimeError, AttributeError) as exc:
        print(f"torch's int4pack is not to be had here: {exc}")
    else:
        calls["torch int4pack"] = lambda: torch.ops.aten._weight_int4pack_mm_for_cpu(
            half, next(stock), GROUP, scales
        )
    return calls | llama_peer(product)


def llama_peer(product: Product) -> dict[str, Timed]:
    """llama.cpp's product of one row by Q4_0 on one thread, in its packing, if cpu_decode made it."""
    found = sorted(peer_home("llama-cpp").glob("lib/python*/site-packages/llama_cpp/lib/libggml-cpu.so"))
    if not found or torch.get_num_threads() > 1:
        return {}
    ctypes.CDLL(str(found[0].with_name("libggml-base.so")), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(found[0]))
    library.ggml_cpu_init()
    blocks, outputs = product.inputs // 32, product.outputs
    weight = torch.randint(0, 256, (outputs // 8, blocks, 144), dtype=torch.uint8)
    weight[..., :16] = torch.tensor([0, 0x20] * 8, dtype=torch.uint8)  # eight rows' scales, float16
    many = itertools.cycle([weight.clone() for _ in range(-(-COLD_BYTES // weight.nbytes))])
    x, y = torch.randn(product.inputs), torch.empty(outputs)
    rounded = torch.empty(34 * blocks, dtype=torch.uint8)
    address, size = ctypes.c_void_p, ctypes.c_size_t

    def call() -> None:
        library.quantize_row_q8_0(address(x.data_ptr()), address(rounded.data_ptr()), size(product.inputs))
        places = (address(next(many).data_ptr()), address(rounded.data_ptr()))
        library.ggml_gemv_q4_0_8x8_q8_0(
            product.inputs, address(y.data_ptr()), size(outputs), *places, 1, outputs
        )

    return {LLAMA: call}


def bandwidth_probe() -> Timed:
    """Reads CHUNK_BYTES of cold memory; no more, since a busy machine cuts off whoever runs for long."""
    chunks = torch.ones(COLD_BYTES // 2, dtype=torch.float32).view(-1, CHUNK_BYTES // 4)
    turn = itertools.cycle(chunks)
    return lambda: next(turn).sum()


def many_rows() -> tuple[Values, dict[str, bool]]:
    """The ways of many rows through one shape, and what 8-bit activations must come to at the most rows."""
    figures: Values = {}
    seconds: Mapping[str, float] = {}
    weight, wide = random_weight(4, PREFILL), random_weight(8, PREFILL)
    dense = torch.randn(PREFILL.outputs, PREFILL.inputs)
    for rows in PREFILL_ROWS:
        x = torch.randn(rows, PREFILL.inputs)
        seconds = best_seconds(ways(x, weight, wide, dense), PREFILL_ROUNDS)
        figures |= {f"{rows} rows, {name}: ms": value * 1e3 for name, value in seconds.items()}
    gain = seconds["torch bfloat16"] / seconds["8 bits, 8-bit activations"]
    return figures, {f"W8A8 1.3 x bfloat16 at {PREFILL_ROWS[-1]} rows": gain >= 1.3}


def ways(x: Tensor, weight: PackedWeight, wide: PackedWeight, dense: Tensor) -> dict[str, Timed]:
    """Each way to multiply rows by a weight of 4 bits, 8 bits or none; `x`, `dense` float32."""
    library = kernels()
    assert library is not None
    half, dense_half = x.bfloat16(), dense.bfloat16()
    integers, stock = x.to(torch.int8), dense.to(torch.int8)
    shape = weight.shape
    described = ops.c_weight(
        weight.packed, weight.scales, None, None, shape.bits, shape.group, shape.outputs, shape.inputs
    )
    y = torch.empty(x.shape[0], shape.outputs, dtype=torch.bfloat16)
    calls: dict[str, Timed] = {
        "4 bits": lambda: multiply(half, weight, False),
        "4 bits, float32": lambda: multiply(x, weight, False),
        "4 bits, 8-bit activations": lambda: multiply(half, weight, True),
        "4 bits unpacked for the GEMM": lambda: ops._by_gemm(library, described, half, None, y),
        "8 bits, 8-bit activations": lambda: multiply(half, wide, True),
        "torch float32": lambda: torch.nn.functional.linear(x, dense),
        "torch bfloat16": lambda: torch.nn.functional.linear(half, dense_half),
    }
    if x.shape[0] > 16:  # _int_mm takes no fewer rows
        calls["torch _int_mm, without rounding"] = lambda: torch._int_mm(integers, stock.t())
    return calls


def best_seconds(calls: Mapping[str, Timed], rounds: int) -> dict[str, float]:
    """Shortest time of each call over interleaved rounds, after one that does not count.

    Rounds begin with another call each: what runs after a large read finds Python itself cold.
    """
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds + 1):
        names = list(calls)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            call = calls[name]
            started = time.perf_counter()
            call()
            if turn:
                best[name] = min(best[name], time.perf_counter() - started)
    return best


if __name__ == "__main__":
    sys.exit(main())
