"""The plugin's kernel class on layers as vLLM's compressed-tensors scheme makes them, without an engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bitloom import packing
from server.workers.kernels.library import kernels

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

OUTPUTS, INPUTS = 40, 128


def stored_layer(bits: int, group: int, is_symmetric: bool, dtype: torch.dtype) -> nn.Module:
    """Parameters as vLLM has them once a checkpoint is loaded."""
    generator = np.random.default_rng(bits)
    half = 1 << (bits - 1)
    groups = 1 if group == -1 else INPUTS // group
    layer = nn.Module()
    words = packing.pack(generator.integers(-half, half, (OUTPUTS, INPUTS)).astype(np.int8), bits)
    packed: Any = nn.Parameter(torch.from_numpy(words), requires_grad=False)
    packed.input_dim, packed.packed_dim = 1, 1
    layer.register_parameter("weight_packed", packed)
    scales = torch.from_numpy(generator.random((OUTPUTS, groups), np.float32)).to(dtype)
    layer.register_parameter("weight_scale", nn.Parameter(scales, requires_grad=False))
    if not is_symmetric:
        zeros = packing.pack_zero_points(
            generator.integers(-half, half, (OUTPUTS, groups)).astype(np.int8), bits
        )
        layer.register_parameter(
            "weight_zero_point", nn.Parameter(torch.from_numpy(zeros), requires_grad=False)
        )
    return layer


@pytest.mark.skipif(kernels() is None, reason="no C++ compiler, and no prebuilt library")
def test_layers_stay_packed_and_multiply_as_dense_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    from server.workers import vllm_kernel

    for bits, group, is_symmetric in (
        (2, 64, True),
        (3, -1, False),
        (4, 32, False),
        (7, 128, True),
        (8, 16, True),
    ):
        config: Any = SimpleNamespace(
            weight_type=SimpleNamespace(size_bits=bits),
            partition_weight_shape=(INPUTS, OUTPUTS),
            act_type=torch.float32,
            group_size=group,
            zero_points=not is_symmetric,
        )
        names = ("weight_packed", "weight_scale", "weight_zero_point")
        found = []
        for library in (kernels, lambda: None):
            monkeypatch.setattr(vllm_kernel, "kernels", library)
            kernel = vllm_kernel.PackedLinearKernel(config, *names)
            layer = stored_layer(bits, group, is_symmetric, torch.float32)
            kernel.process_weights_after_loading(layer)
            x = torch.randn(2, 3, INPUTS, generator=torch.Generator().manual_seed(1))
            found.append(kernel.apply_weights(layer, x, torch.ones(OUTPUTS)))
            is_packed = library is kernels and group != 16
            assert (vllm_kernel.PACKED_NAME in layer._parameters) is is_packed
            assert (vllm_kernel.DENSE_NAME in layer._parameters) is not is_packed
            assert not hasattr(layer, "weight_packed")
        packed, dense = found
        assert float((packed - dense).abs().max()) <= 1e-5 * float(dense.abs().max())
        if group != 16:
            with monkeypatch.context() as asked:  # by BITLOOM_KERNEL_ACTIVATIONS, when the layer is loaded
                asked.setattr(vllm_kernel, "kernels", kernels)
                asked.setattr(vllm_kernel, "rounds_activations", lambda: True)
                kernel = vllm_kernel.PackedLinearKernel(config, *names)
                layer = stored_layer(bits, group, is_symmetric, torch.float32)
                kernel.process_weights_after_loading(layer)
                rounded = kernel.apply_weights(layer, x, torch.ones(OUTPUTS))
            assert not torch.equal(rounded, packed)
            assert float((rounded - packed).abs().max()) <= 0.02 * float(dense.abs().max())


@pytest.mark.skipif(kernels() is None, reason="no C++ compiler, and no prebuilt library")
def test_w8a8_layers_round_activations_a_token_and_multiply_without_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vllm.model_executor.kernels.linear.scaled_mm.ScaledMMLinearKernel import (
        Int8ScaledMMLinearLayerConfig,
    )

    from server.workers import vllm_int8_kernel

    monkeypatch.setattr(vllm_int8_kernel, "w8a8_by_stock", lambda _: False)
    config = Int8ScaledMMLinearLayerConfig(
        is_static_input_scheme=False, is_channelwise=True, input_symmetric=True
    )
    names = ["weight", "weight_scale", "input_scale", "input_zero_point", "azp_adj"]
    kernel = vllm_int8_kernel.PackedInt8Kernel(config, names)
    generator = torch.Generator().manual_seed(0)
    for outputs, inputs in ((40, 128), (19, 45)):
        integers = torch.randint(-128, 128, (outputs, inputs), generator=generator).to(torch.int8)
        scales = torch.rand(outputs, 1, generator=generator)
        layer = nn.Module()
        layer.register_parameter("weight", nn.Parameter(integers, requires_grad=False))
        layer.register_parameter("weight_scale", nn.Parameter(scales, requires_grad=False))
        layer.register_parameter("input_scale", None)
        kernel.process_weights_after_loading(layer)
        assert sorted(layer._parameters) == ["scales_repacked", "weight_repacked"]
        x = torch.randn(2, 3, inputs, generator=generator)
        step = x.abs().amax(-1, keepdim=True) / 127
        rounded = (x * (1 / step)).round().double() * step
        expected = rounded @ (integers.double() * scales).t() + 1
        found = kernel.apply_weights(layer, x, torch.ones(outputs))
        assert float((found - expected).abs().max()) <= 2e-6 * float(expected.abs().max())


@pytest.mark.parametrize(("isa", "is_taken"), [(0, True), (1, True), (2, False)])
def test_w8a8_stays_with_the_stock_kernel_where_it_is_faster(
    isa: int, is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.workers import vllm_int8_kernel

    monkeypatch.setattr(vllm_int8_kernel, "kernels", lambda: SimpleNamespace(isa=isa))
    assert vllm_int8_kernel.PackedInt8Kernel.is_supported()[0] is is_taken
    monkeypatch.setattr(vllm_int8_kernel, "kernels", lambda: None)
    assert not vllm_int8_kernel.PackedInt8Kernel.is_supported()[0]
    static: Any = SimpleNamespace(is_static_input_scheme=True, input_symmetric=True, is_channelwise=True)
    assert not vllm_int8_kernel.PackedInt8Kernel.can_implement(static)[0]
