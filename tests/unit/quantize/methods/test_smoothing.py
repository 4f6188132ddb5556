"""Smoothing moves scales without changing what a block computes."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from quantize.errors import QuantizationError
from quantize.families.smoothing import Feeds
from quantize.methods.smoothing import SmoothedBlock, settle, shared_scales, smooth_block

Tensors = dict[str, Tensor]


def block(*shapes: tuple[str, int, int], bias: bool = True) -> Tensors:
    generator = torch.Generator().manual_seed(0)
    tensors: Tensors = {"norm.weight": torch.rand(shapes[0][2], generator=generator) + 0.5}
    if bias:
        tensors["norm.bias"] = torch.randn(shapes[0][2], generator=generator)
    for name, out, inputs in shapes:
        tensors[f"{name}.weight"] = torch.randn(out, inputs, generator=generator)
        if bias:
            tensors[f"{name}.bias"] = torch.randn(out, generator=generator)
    return tensors


def apply(
    tensors: Tensors,
    pairs: list[tuple[Feeds, Tensor]],
    dtype: torch.dtype = torch.float32,
    head_size: int | None = None,
) -> SmoothedBlock:
    return smooth_block(tensors, [settle(pair, wanted, tensors, dtype, head_size) for pair, wanted in pairs])


def scales(count: int) -> Tensor:
    return torch.exp(torch.randn(count, generator=torch.Generator().manual_seed(1)))


def linear(tensors: Tensors, name: str, x: Tensor) -> Tensor:
    return functional.linear(x, tensors[f"{name}.weight"], tensors.get(f"{name}.bias"))


def normed(tensors: Tensors, x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], tensors["norm.weight"], tensors.get("norm.bias"))


def assert_preserved(before: Tensor, after: Tensor) -> None:
    assert float((after - before).abs().max()) <= 1e-5 * float(before.abs().max())


def smoothed(tensors: Tensors, block: SmoothedBlock) -> Tensors:
    return {**tensors, **block.tensors}


X = torch.randn(5, 16, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("bias", [True, False])
def test_a_norm_its_linears_and_a_chain_behind_them(bias: bool) -> None:
    tensors = block(("gate", 32, 16), ("up", 32, 16), ("down", 16, 32), bias=bias)

    def run(values: Tensors) -> Tensor:
        h = normed(values, X)
        gated = functional.silu(linear(values, "gate", h)) * linear(values, "up", h)
        return linear(values, "down", gated)

    pairs = [
        (Feeds("norm", ("gate", "up")), scales(16)),
        (Feeds("up", ("down",), is_norm=False), scales(32)),
    ]
    result = apply(tensors, pairs)
    assert_preserved(run(tensors), run(smoothed(tensors, result)))
    for name in ("gate", "up", "down"):
        restored = result.restored(name, result.tensors[f"{name}.weight"])
        torch.testing.assert_close(restored, tensors[f"{name}.weight"], rtol=1e-5, atol=1e-6)


def test_norms_are_rounded_to_their_dtype_before_the_linears_take_on() -> None:
    tensors = block(("q", 8, 16), bias=False)
    tensors["norm.weight"] = tensors["norm.weight"].bfloat16()
    result = apply(tensors, [(Feeds("norm", ("q",)), scales(16))], torch.bfloat16)
    stored = result.tensors["norm.weight"]
    assert torch.equal(stored.bfloat16().float(), stored)
    before = linear(tensors, "q", tensors["norm.weight"].float() * X)
    assert_preserved(before, linear({"q.weight": result.tensors["q.weight"]}, "q", stored * X))


def test_the_value_part_of_a_fused_linear_gives_up_its_rows_only() -> None:
    tensors = block(("qkv", 48, 16), ("projection", 16, 16))
    pair = Feeds("qkv", ("projection",), is_norm=False, part=(2, 3))
    after = smoothed(tensors, apply(tensors, [(pair, scales(16))]))
    before_out, after_out = linear(tensors, "qkv", X), linear(after, "qkv", X)
    assert torch.equal(before_out[:, :32], after_out[:, :32])
    assert_preserved(
        linear(tensors, "projection", before_out[:, 32:]), linear(after, "projection", after_out[:, 32:])
    )


def test_grouped_heads_share_what_their_value_head_gives_up() -> None:
    heads, value_heads, size = 4, 2, 4
    tensors = block(("v", value_heads * size, 16), ("o", 16, heads * size))
    pair = Feeds("v", ("o",), is_norm=False)

    def run(values: Tensors) -> Tensor:
        v = linear(values, "v", X).view(-1, value_heads, size).repeat_interleave(heads // value_heads, 1)
        return linear(values, "o", v.reshape(-1, heads * size))

    shared = shared_scales(pair, scales(heads * size), value_heads * size, size)
    after = smoothed(tensors, apply(tensors, [(pair, shared)], head_size=size))
    assert_preserved(run(tensors), run(after))
    with pytest.raises(QuantizationError, match="leave this pair out"):
        shared_scales(pair, scales(heads * size), value_heads * size, None)


def test_scales_that_would_change_the_function_are_an_error() -> None:
    tensors = block(("q", 8, 16))
    with pytest.raises(QuantizationError, match="smoothing changed q"):
        apply(tensors, [(Feeds("norm", ("q",)), torch.full((16,), float("nan")))])
