"""Products of packed weights against float32: every width, group, symmetry, number of rows, odd shapes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bitloom import packing
from server.workers.kernels.library import ISAS, Kernels, kernels
from server.workers.kernels.linear import PackedLinear
from server.workers.kernels.ops import operators, packed_dequantize, packed_linear
from server.workers.kernels.packed import PackedWeight, repack

WIDTHS, GROUPS, ROWS = tuple(range(2, 9)), (32, 64, 128, 0), (1, 2, 7, 16, 64, 577)
MANY_OUTPUTS = 8  # of which not all cancel to next to nothing
BF16_STEP = 2.0**-8  # half the distance of neighbours, at most, as a share of the number

_library = kernels()
if _library is None:
    pytest.skip("no C++ compiler, and no prebuilt library", allow_module_level=True)
LIBRARY: Kernels = _library
BEST: int = LIBRARY.library.bl_best_isa()
PRESENT = range(BEST + 1)
operators()


def random_layer(
    generator: np.random.Generator, bits: int, group: int, outputs: int, inputs: int, is_symmetric: bool
) -> tuple[PackedWeight, Tensor]:
    """A packed weight and the dense float32 one it stands for."""
    groups = inputs // group if group else 1
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    values = generator.integers(low, high + 1, (outputs, inputs)).astype(np.int8)
    scales = torch.from_numpy(generator.random((outputs, groups), np.float32) + 0.01).bfloat16()
    zeros = None
    if not is_symmetric:
        zeros = generator.integers(low, high + 1, (outputs, groups)).astype(np.int8)
    words = torch.from_numpy(packing.pack(values, bits))
    packed_zeros = None if zeros is None else torch.from_numpy(packing.pack_zero_points(zeros, bits))
    dense = torch.from_numpy(packing.dequantize(values, scales.float().numpy(), zeros))
    return repack(words, scales, packed_zeros, bits, inputs), dense


def multiply(x: Tensor, weight: PackedWeight, bias: Tensor | None = None, *, int8: bool = False) -> Tensor:
    shape = weight.shape
    return packed_linear(
        x,
        weight.packed,
        weight.scales,
        weight.zero_points,
        shape.bits,
        shape.group,
        shape.outputs,
        shape.inputs,
        bias,
        int8,
    )


def worst(y: Tensor, expected: Tensor) -> float:
    """Largest difference relative to each row's own size."""
    sizes = expected.abs().amax(1, keepdim=True).clamp_min(1e-30)
    return float(((y.double() - expected) / sizes).abs().max())


def check(weight: PackedWeight, dense: Tensor, rows: int, bias: Tensor | None, seed: int) -> None:
    """Products are near beside their operands' norms, and beside their row where not all of it can cancel."""
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((rows, dense.shape[1]), np.float32))
    for values, step, accuracy in ((x, 0.0, 1e-5), (x.bfloat16(), BF16_STEP, 1e-4)):
        exact = values.double() @ dense.double().t() + (0 if bias is None else bias.double())
        got = multiply(values, weight, bias)
        assert got.dtype is values.dtype
        sizes = values.double().norm(dim=1, keepdim=True) * dense.double().norm(dim=1)
        assert bool(((got.double() - exact).abs() <= step * exact.abs() + accuracy * sizes).all())
        if len(dense) >= MANY_OUTPUTS:
            assert worst(got, exact) <= step + accuracy


# Few rows on every instruction set, and all rows on the best one, in the fast suite.
CASES = [
    pytest.param(
        isa, rows, id=f"{ISAS[isa]}-{rows}", marks=[pytest.mark.slow] if isa < BEST and rows > 2 else []
    )
    for isa in PRESENT
    for rows in ROWS
]


@pytest.mark.parametrize(("isa", "rows"), CASES)
def test_every_width_group_and_symmetry(isa: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.workers.kernels.ops.kernels", lambda: Kernels(LIBRARY.library, isa))
    generator = np.random.default_rng(rows)
    for bits, group, is_symmetric in product(WIDTHS, GROUPS, (True, False)):
        weight, dense = random_layer(generator, bits, group, 48, 256, is_symmetric)
        bias = torch.from_numpy(generator.standard_normal(48).astype(np.float32))
        check(weight, dense, rows, bias if is_symmetric else None, rows)


@settings(max_examples=40)
@given(
    bits=st.sampled_from(WIDTHS),
    group=st.sampled_from(GROUPS),
    outputs=st.integers(1, 70),
    blocks=st.integers(1, 5),
    odd=st.integers(1, 300),
    rows=st.integers(1, 40),
    is_symmetric=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_odd_shapes(
    bits: int, group: int, outputs: int, blocks: int, odd: int, rows: int, is_symmetric: bool, seed: int
) -> None:
    inputs = group * blocks if group else odd
    weight, dense = random_layer(np.random.default_rng(seed), bits, group, outputs, inputs, is_symmetric)
    check(weight, dense, rows, None, seed)
    shape = weight.shape
    back = packed_dequantize(
        weight.packed, weight.scales, weight.zero_points, bits, shape.group, outputs, inputs
    )
    assert torch.equal(back, dense)


@pytest.mark.parametrize("bits", WIDTHS)
def test_instruction_sets_agree_to_the_bit(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    weight, dense = random_layer(np.random.default_rng(bits), bits, 64, 33, 192, False)
    x = torch.randn(9, dense.shape[1], generator=torch.Generator().manual_seed(bits))
    found = []
    monkeypatch.setattr("server.workers.kernels.ops.by_gemm", lambda *_: False)
    for isa in PRESENT:
        monkeypatch.setattr(
            "server.workers.kernels.ops.kernels", lambda isa=isa: Kernels(LIBRARY.library, isa)
        )
        found.append((multiply(x, weight), multiply(x.bfloat16(), weight), multiply(x, weight, int8=True)))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
    assert worst(found[0][2], x.double() @ dense.double().t()) <= 0.02


def rounded(x: Tensor, group: int) -> Tensor:
    """float32 [rows, in] as 8 bits a group (0: a row) leave it, in float64."""
    parts = []
    for part in torch.split(x, group or x.shape[1], dim=1):
        step = part.abs().amax(1, keepdim=True).clamp_min(1e-30) / 127
        parts.append((part * (1 / step)).round().double() * step)
    return torch.cat(parts, 1)


@pytest.mark.parametrize("isa", PRESENT)
@pytest.mark.parametrize("group", GROUPS)
def test_rounded_activations_are_multiplied_without_error(
    isa: int, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.workers.kernels.ops.kernels", lambda: Kernels(LIBRARY.library, isa))
    generator = np.random.default_rng(group)
    for bits, is_symmetric in product(WIDTHS, (True, False)):
        weight, dense = random_layer(generator, bits, group, 33, 256, is_symmetric)
        x = torch.from_numpy(generator.standard_normal((6, 256), np.float32))
        expected = rounded(x, group) @ dense.double().t()
        assert worst(multiply(x, weight, int8=True), expected) <= 2e-6
        half = x.bfloat16()
        expected = rounded(half.float(), group) @ dense.double().t()
        assert worst(multiply(half, weight, int8=True), expected) <= BF16_STEP + 1e-6


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_unpacking_for_the_platform_s_gemm(kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.workers.kernels.ops.by_gemm", lambda *_: True)
    monkeypatch.setattr("server.workers.kernels.ops.gemm_type", lambda _: kind)
    monkeypatch.setattr(
        "server.workers.kernels.ops.DENSE_BYTES", 4 * 16 * 192
    )  # three tiles of a layer of 40
    for bits in WIDTHS:
        weight, dense = random_layer(np.random.default_rng(bits), bits, 64, 40, 192, False)
        x = torch.randn(9, 192, generator=torch.Generator().manual_seed(bits)).bfloat16()
        bias = torch.arange(40, dtype=torch.float32)
        exact = x.double() @ dense.double().t() + bias.double()
        assert worst(multiply(x, weight, bias), exact) <= 2 * BF16_STEP


def test_resident_bytes_are_the_stored_bytes() -> None:
    for bits in WIDTHS:
        weight, dense = random_layer(np.random.default_rng(bits), bits, 64, 64, 256, True)
        assert weight.packed.numel() * 8 == dense.numel() * bits
        assert weight.scales.nbytes == 2 * dense.numel() // 64


def test_graphs_hold_the_operator_and_give_the_same() -> None:
    weight, _ = random_layer(np.random.default_rng(0), 4, 32, 48, 64, is_symmetric=False)
    layer, x = PackedLinear(weight, torch.ones(48)), torch.randn(3, 64)
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _inputs: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    compiled = torch.compile(layer, backend=keep, fullgraph=True)
    assert torch.equal(compiled(x), layer(x))
    (graph,) = graphs
    assert "bitloom.packed_linear" in graph.code
