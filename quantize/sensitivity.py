"""What each layer's rounding costs the model, to first use: error weighted by Fisher information.

With the loss L of the calibration texts and a rounded weight W + d, the second-order loss is

    dL = 1/2 sum_i F_i d_i^2,    F_i = mean over batches of (dL / dW_i)^2,

the diagonal of the empirical Fisher matrix in place of the Hessian (Optimal Brain Damage, LeCun et al.
1989; as SqueezeLLM, arXiv 2306.07629, weights its clusters). The losses of layers add up: it is the
additive model, known to fail where layers interact; a search starts from it and measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def fisher_losses(plans: Sequence[Plan], store: Path | None = None) -> list[float]:
    """The predicted loss of each plan, by its difference to the checkpoint. Raises as `open_assembly`."""
    assembly = open_assembly(plans, store)
    checkpoint = preview(plans[0]).checkpoint
    calibrated = CalibrationPass(checkpoint, plans[0].calibration)
    batches = [batch for batch in calibrated.batches if not batch.is_held_out]
    information = fisher_information(checkpoint, batches)
    losses = []
    for plan in plans:
        changes = assembly.differences(plan)
        losses.append(_loss(changes, information))
    return losses


def fisher_information(checkpoint: Checkpoint, batches: Sequence[Batch]) -> dict[str, Tensor]:
    """Mean squared gradient of the text's loss, by written tensor name, in the tensors' shapes."""
    architecture = getattr(transformers, checkpoint.family.architectures[0])
    model: nn.Module = architecture.from_pretrained(checkpoint.directory, dtype=torch.float32).eval()
    parameters = {checkpoint.family.written_name(name): each for name, each in model.named_parameters()}
    total = {name: torch.zeros_like(each) for name, each in parameters.items()}
    image_token = checkpoint.config.get("image_token_index", checkpoint.config.get("image_token_id"))
    for batch in batches:
        model.zero_grad(set_to_none=True)
        loss = text_loss(model, batch, image_token, dict(checkpoint.family.forward))
        loss.backward()  # type: ignore[no-untyped-call]
        for name, each in parameters.items():
            if each.grad is not None:
                total[name] += each.grad.square()
    return {name: each / len(batches) for name, each in total.items()}


def text_loss(
    model: nn.Module, batch: Batch, image_token: int | None, forward: Mapping[str, object]
) -> Tensor:
    """Cross-entropy of each token that counts, given those before it; image tokens do not count."""
    logits = model(**batch.inputs, **forward).logits[:, :-1]
    targets = batch.inputs["input_ids"][:, 1:]
    counts = batch.token_weights[:, 1:] > 0
    if image_token is not None:
        counts &= targets != image_token
    return nn.functional.cross_entropy(logits[counts], targets[counts])


def _loss(changes: Mapping[str, Tensor], information: Mapping[str, Tensor]) -> float:
    return sum(
        0.5 * float((information[name] * change.square()).sum())
        for name, change in changes.items()
        if name in information
    )
