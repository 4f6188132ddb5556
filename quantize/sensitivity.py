"""What each layer's rounding costs the model, to first use: output errors weighted by Fisher information.

With L the mean loss of T calibration tokens, y = W x a layer's output at a position and D what rounding adds
to W, the second-order loss is

    dL = T/2 sum_positions sum_outputs (dL/dy)^2 (D x)^2,

the diagonal of the empirical Fisher matrix of the outputs in place of the Hessian, positions taken as
independent (Optimal Brain Damage, LeCun et al. 1989, on outputs instead of weights). Methods differ in how
errors of one output's weights cancel (GPTQ makes them), which a diagonal over weights does not see: it put
GPTQ behind AWQ where its output errors are a fifth. The losses of layers add up: it is the additive model,
known to fail where layers interact; a search starts from it and measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn

from bitloom.plan import Plan
from quantize.calibration.batches import Batch
from quantize.calibration.passes import CalibrationPass
from quantize.checkpoint import Checkpoint
from quantize.dense import open_assembly
from quantize.preview import preview

POSITIONS = 1024
"""Of each layer that are kept, at most: those of a 7B model take 8 GB beside its 28 of weights."""


@dataclass(slots=True)
class LayerFisher:
    """Some positions of one layer: `inputs` [n, in] each, and `gradients` [n, out] of the loss, by batch."""

    inputs: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)

    def loss(self, change: Tensor) -> float:
        """The predicted loss of adding `change` [out, in] to the weights."""
        errors = torch.cat(self.inputs) @ change.t()
        return 0.5 * float((errors * torch.cat(self.gradients)).square().sum())


def fisher_losses(plans: Sequence[Plan], store: Path | None = None) -> list[float]:
    """The predicted loss of each plan, by its difference to the checkpoint. Raises as `open_assembly`."""
    assembly = open_assembly(plans, store)
    checkpoint = preview(plans[0]).checkpoint
    calibrated = CalibrationPass(checkpoint, plans[0].calibration)
    batches = [batch for batch in calibrated.batches if not batch.is_held_out]
    information = output_fisher(checkpoint, batches)
    return [_loss(assembly.differences(plan), information) for plan in plans]


def output_fisher(checkpoint: Checkpoint, batches: Sequence[Batch]) -> dict[str, LayerFisher]:
    """Inputs and gradients of every Linear, by the written name of its weights.

    Gradients are scaled so that `LayerFisher.loss` is in units of the loss, averaged over batches. Layers
    that the loss does not depend on (behind the vision features) are left out: rounding them costs nothing.
    """
    architecture = getattr(transformers, checkpoint.family.architectures[0])
    model: nn.Module = architecture.from_pretrained(checkpoint.directory, dtype=torch.float32).eval()
    found: dict[str, LayerFisher] = {}
    share = max(1, POSITIONS // len(batches))
    watched = [_Watched(found, checkpoint.family.written_name(f"{name}.weight"), share, module)
               for name, module in model.named_modules() if isinstance(module, nn.Linear)]  # fmt: skip
    image_token = checkpoint.config.get("image_token_index", checkpoint.config.get("image_token_id"))
    for batch in batches:
        model.zero_grad(set_to_none=True)
        scale = (float(_counted(batch, image_token).sum()) / len(batches)) ** 0.5
        for each in watched:
            each.scale = scale
        text_loss(model, batch, image_token, dict(checkpoint.family.forward)).backward()  # type: ignore[no-untyped-call]
    return found


def text_loss(
    model: nn.Module, batch: Batch, image_token: int | None, forward: Mapping[str, object]
) -> Tensor:
    """Cross-entropy of each token that counts, given those before it; image tokens do not count."""
    logits = model(**batch.inputs, **forward).logits[:, :-1]
    counts = _counted(batch, image_token)
    return nn.functional.cross_entropy(logits[counts], batch.inputs["input_ids"][:, 1:][counts])


class _Watched:
    """Keeps some positions of a layer from each backward pass."""

    def __init__(self, found: dict[str, LayerFisher], name: str, share: int, module: nn.Module) -> None:
        self.scale = 1.0
        self._found, self._name, self._share = found, name, share
        self._generator = torch.Generator().manual_seed(0)
        module.register_forward_hook(self._after)

    def _after(self, _module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        x = inputs[0].detach()
        output.register_hook(lambda gradient: self._keep(x, gradient))  # type: ignore[no-untyped-call]

    def _keep(self, x: Tensor, gradient: Tensor) -> None:
        x, gradient = x.reshape(-1, x.shape[-1]), gradient.detach().reshape(-1, gradient.shape[-1])
        count = min(self._share, len(x))
        rows = torch.randperm(len(x), generator=self._generator)[:count]
        layer = self._found.setdefault(self._name, LayerFisher())
        layer.inputs.append(x[rows])
        layer.gradients.append(gradient[rows] * (self.scale * (len(x) / count) ** 0.5))


def _counted(batch: Batch, image_token: int | None) -> Tensor:
    counts: Tensor = batch.token_weights[:, 1:] > 0
    return counts if image_token is None else counts & (batch.inputs["input_ids"][:, 1:] != image_token)


def _loss(changes: Mapping[str, Tensor], information: Mapping[str, LayerFisher]) -> float:
    return sum(information[name].loss(change) for name, change in changes.items() if name in information)
