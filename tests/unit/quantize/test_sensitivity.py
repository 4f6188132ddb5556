"""Fisher-weighted losses grow as bits fall, and tell a part that matters from one that does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from bitloom.plan import Plan
from quantize.calibration.passes import CalibrationPass
from quantize.checkpoint import open_checkpoint
from quantize.sensitivity import LayerFisher, fisher_losses, output_fisher, text_loss

ZOO = Path(os.environ.get("BITLOOM_ZOO", Path(__file__).parents[3] / "zoo"))
BASE = str(ZOO / "tiny-llava")


def plan_of(
    name: str, component: str, bits: int, *, method: str = "rtn", blocks: str = "all", samples: int = 16
) -> Plan:
    rule = {"component": component, "blocks": blocks, "bits": bits, "method": method, "group_size": 64}
    calibration = {"mode": "independent", "samples": samples}
    document = {"name": name, "base": BASE, "rules": [rule], "calibration": calibration}
    return Plan.parse(document, source="test")


def test_fewer_bits_lose_more_and_components_add_up() -> None:
    plans = [plan_of(f"v{bits}", "vision", bits) for bits in (2, 3, 4, 8)]
    plans += [plan_of("c2", "connector", 2), plan_of("a2", "all", 2), plan_of("l2", "language", 2)]
    losses = fisher_losses(plans)
    assert losses[0] > losses[1] > losses[2] > losses[3] > 0
    vision, connector, everything, language = losses[0], losses[4], losses[5], losses[6]
    assert everything == pytest.approx(vision + connector + language, rel=1e-4)


def test_scales_that_awq_moves_cost_nothing(tmp_path: Path) -> None:
    plans = [
        plan_of(method, "language", 8, method=method, blocks="0", samples=8) for method in ("rtn", "awq")
    ]
    rounded, smoothed = fisher_losses(plans, tmp_path / "store")
    # The scales themselves change weights by a multiple of themselves: 1000 times as much, if they counted.
    assert 0 < smoothed < 3 * rounded


def test_the_loss_is_that_of_a_small_change_in_every_direction_of_the_outputs() -> None:
    """With one token that counts, it is half the squared change of the loss by each output."""
    layer = LayerFisher([torch.tensor([[1.0, 2.0]])], [torch.tensor([[3.0, 0.5]])])
    change = torch.tensor([[0.1, 0.0], [0.0, 0.2]])
    assert layer.loss(change) == pytest.approx(0.5 * ((3 * 0.1) ** 2 + (0.5 * 0.4) ** 2))
    cancelling = torch.tensor([[0.2, -0.1], [0.0, 0.0]])  # as GPTQ's errors do: large weights, no output
    assert layer.loss(cancelling) == pytest.approx(0.0, abs=1e-12)


def test_gptq_is_seen_to_lose_less_than_rounding(tmp_path: Path) -> None:
    plans = [
        plan_of(method, "language", 3, method=method, blocks="0", samples=16) for method in ("rtn", "gptq")
    ]
    rounded, compensated = fisher_losses(plans, tmp_path / "store")
    assert 0 < compensated < 0.7 * rounded


def test_information_is_of_the_text_not_of_image_tokens() -> None:
    checkpoint = open_checkpoint(BASE)
    batches = CalibrationPass(checkpoint, plan_of("v", "vision", 4).calibration).batches[:1]
    found = output_fisher(checkpoint, batches)
    assert set(found) <= set(checkpoint.tensors)
    head = found["language_model.lm_head.weight"]
    outputs, inputs = checkpoint.tensors["language_model.lm_head.weight"].shape
    positions = batches[0].inputs["input_ids"].numel()
    assert head.inputs[0].shape == (positions, inputs)
    assert head.gradients[0].shape == (positions, outputs)
    # Only positions before a token that counts have a gradient at the head.
    counted = int((head.gradients[0].abs().sum(dim=1) > 0).sum())
    image = checkpoint.config["image_token_index"]
    is_text = batches[0].inputs["input_ids"][:, 1:] != image
    assert counted == int(is_text[batches[0].token_weights[:, 1:] > 0].sum())

    class Uniform(torch.nn.Module):
        """The same logits for every token."""

        def forward(self, input_ids: torch.Tensor, **_: torch.Tensor) -> object:
            class Output:
                logits = torch.zeros(*input_ids.shape, 512)

            return Output()

    assert float(text_loss(Uniform(), batches[0], image, {})) == pytest.approx(6.2383, abs=1e-3)
