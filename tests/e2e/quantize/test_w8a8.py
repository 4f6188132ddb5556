"""`activations: 8`: 8-bit weights with inputs quantized as they come, a scale a token, in the real vLLM.

The reference computes with the dequantized weights and rounds each Linear's inputs to 8 bits by itself. vLLM
multiplies integers and scales the sums. On a CPU without VNNI its own product saturates: measured alone,
against the exact product of the same integers, it is off by 2 to 4 % of the output's norm. There our kernel
takes these layers, whose product is exact.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bitloom.variant import read_manifest
from quantize.checkpoint import open_checkpoint

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore"),
]

W8A8 = {"bits": 8, "group_size": "channel", "activations": 8}
PLANS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "tiny-llava": {
        "tower": [{"component": "vision", **W8A8}],
        "everything": [{"component": "all", **W8A8}, {"component": "language", "method": "gptq"}],
    },
    "tiny-blip2": {"tower": [{"component": "vision", **W8A8}, {"component": "language", "bits": 4}]},
}
HAS_VNNI = any(flag in Path("/proc/cpuinfo").read_text() for flag in ("avx512_vnni", "avx_vnni"))
NOISE = 0.02 if HAS_VNNI else 0.35


@pytest.mark.parametrize("model", PLANS)
def test_vllm_computes_with_8_bit_activations(model: str, workshop: Any, reference: Any) -> None:
    directories: list[Path] = workshop.variants(model, PLANS[model])
    questions = workshop.questions(model)
    answers = workshop.ask_vllm(model, directories)
    for directory, answer in zip(directories, answers, strict=True):
        assert not isinstance(answer, str), f"{directory.name}: {answer}"
        rounded = reference(directory, questions, partial(round_inputs, directory))
        plain = reference(directory, questions)
        for want, other, got in zip(rounded, plain, answer, strict=True):
            best = sorted(got, key=lambda token: got[token])[-5:]
            gap = max(abs(got[token] - float(want[token])) for token in best)
            assert gap <= NOISE, f"{directory.name}: {gap}"
            assert not torch.equal(want, other), "rounding the inputs must matter"


def round_inputs(directory: Path, model: nn.Module) -> None:
    """Let every W8A8 layer of a variant see its inputs rounded."""
    manifest = read_manifest(directory)
    family = open_checkpoint(manifest.base.path).family
    names = {f"{layer.name}.weight" for layer in manifest.layers if layer.activations == 8}
    found = [m for name, m in model.named_modules() if family.written_name(f"{name}.weight") in names]
    assert len(found) == len(names) > 0
    for module in found:
        module.register_forward_pre_hook(lambda _, inputs: (round_by_token(inputs[0]), *inputs[1:]))


def round_by_token(x: torch.Tensor) -> torch.Tensor:
    """x [..., in] on 255 levels between its own extremes, symmetric."""
    scale = x.abs().amax(-1, keepdim=True).clamp(min=1e-12) / 127
    return (x / scale).round().clamp(-128, 127) * scale
