"""What the kernels do not take is refused by name, and a machine without a compiler is told what it loses."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from server.workers.kernels import build, library
from server.workers.kernels.library import CWeight, KernelError, kernels
from server.workers.kernels.linear import PackedLinear
from server.workers.kernels.ops import c_weight, operators, packed_linear
from server.workers.kernels.packed import PackedWeight, refusal, repack

needs_library = pytest.mark.skipif(kernels() is None, reason="no C++ compiler, and no prebuilt library")


def layer(bits: int = 4, outputs: int = 32, inputs: int = 128) -> PackedWeight:
    words = torch.zeros(outputs, inputs * bits // 32, dtype=torch.int32)
    return repack(words, torch.ones(outputs, inputs // 32), None, bits, inputs)


@pytest.mark.parametrize(
    ("bits", "group", "inputs", "what"),
    [(1, 32, 64, "1 bits"), (9, 32, 64, "9 bits"), (4, 48, 96, "groups of 48"), (4, 64, 96, "do not divide")],
)
def test_widths_and_groups_are_refused(bits: int, group: int, inputs: int, what: str) -> None:
    assert what in str(refusal(bits, group, inputs))
    assert refusal(4, -1, 45) is None


@needs_library
def test_truncated_tensors_are_refused() -> None:
    words = torch.zeros(32, 15, dtype=torch.int32)
    with pytest.raises(KernelError, match="truncated"):
        repack(words, torch.ones(32, 4), None, 4, 128)
    with pytest.raises(KernelError, match="zero points"):
        repack(torch.zeros(32, 16, dtype=torch.int32), torch.ones(32, 4), torch.zeros(3, 4), 4, 128)


@needs_library
def test_tensors_that_do_not_fit_the_shape_are_refused() -> None:
    weight, x = layer(), torch.ones(1, 128)
    with pytest.raises(KernelError, match="truncated"):
        packed_linear(x, weight.packed[:-64], weight.scales, None, 4, 32, 32, 128, None, False)
    with pytest.raises(KernelError, match="scales"):
        packed_linear(x, weight.packed, weight.scales[:1], None, 4, 32, 32, 128, None, False)
    with pytest.raises(KernelError, match="features"):
        packed_linear(x[:, :64], weight.packed, weight.scales, None, 4, 32, 32, 128, None, False)
    with pytest.raises(KernelError, match="activations"):
        packed_linear(x.double(), weight.packed, weight.scales, None, 4, 32, 32, 128, None, False)


@needs_library
def test_no_threads_and_misaligned_tensors_are_refused() -> None:
    weight, x, y = layer(), torch.ones(2, 128), torch.empty(1, 32)
    loaded = kernels()
    assert loaded is not None
    described: CWeight = c_weight(weight.packed, weight.scales, None, None, 4, 32, 32, 128)
    with pytest.raises(KernelError, match="thread"):
        loaded.check(
            loaded.library.bl_linear(described, x.data_ptr(), 128, 1, y.data_ptr(), 32, 0, 0, loaded.isa, 0)
        )
    with pytest.raises(KernelError, match="aligned"):
        loaded.check(
            loaded.library.bl_linear(described, x.data_ptr() + 2, 128, 1, y.data_ptr(), 32, 0, 0, 0, 1)
        )
    words = torch.zeros(32, 16, dtype=torch.int32)
    call = (words.data_ptr(), 16, 4, 32, 128, weight.packed.data_ptr(), weight.packed.numel())
    with pytest.raises(KernelError, match="thread"):
        loaded.check(loaded.library.bl_repack(*call, 0))


@needs_library
def test_what_is_not_finite_is_never_a_number() -> None:
    weight = layer()
    x = torch.ones(2, 128)
    x[0, 5] = torch.inf
    y = packed_linear(x, weight.packed, weight.scales, None, 4, 32, 32, 128, None, False)
    assert y[0].isnan().all()
    assert y[1].isfinite().all()


@needs_library
def test_fake_tensors_have_the_product_s_shape() -> None:
    operators()
    weight = layer()
    x = torch.empty(3, 5, 128, device="meta", dtype=torch.bfloat16)
    y = torch.ops.bitloom.packed_linear(
        x, weight.packed.to("meta"), weight.scales.to("meta"), None, 4, 32, 32, 128, None, False
    )
    assert (y.shape, y.dtype, y.device.type) == ((3, 5, 32), torch.bfloat16, "meta")


def test_without_a_compiler_one_line_says_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(build.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(build, "PREBUILT", tmp_path)
    library.kernels.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert library.kernels() is None
    finally:
        library.kernels.cache_clear()
    (record,) = caplog.records
    assert "no C++ compiler" in record.message
    assert "dequantized at load" in record.message


@needs_library
def test_activations_are_rounded_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, x = layer(), torch.linspace(0.1, 1, 128)[None] ** 2
    exact = packed_linear(x, weight.packed, weight.scales, None, 4, 32, 32, 128, None, False)
    rounded = packed_linear(x, weight.packed, weight.scales, None, 4, 32, 32, 128, None, True)
    assert not torch.equal(exact, rounded)
    for choice, expected in (("", exact), ("exact", exact), ("int8", rounded)):
        monkeypatch.setenv(library.ACTIVATIONS_VARIABLE, choice)
        library.rounds_activations.cache_clear()
        assert torch.equal(PackedLinear(weight, None)(x), expected)
    monkeypatch.setenv(library.ACTIVATIONS_VARIABLE, "int4")
    library.rounds_activations.cache_clear()
    with pytest.raises(ValueError, match="int4"):
        PackedLinear(weight, None)
    library.rounds_activations.cache_clear()


def test_an_unknown_choice_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.CHOICE_VARIABLE, "sse9")
    library.kernels.cache_clear()
    with pytest.raises(ValueError, match="sse9"):
        library.kernels()
    library.kernels.cache_clear()
