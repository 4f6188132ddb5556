"""GPTQ and AWQ against rounding to nearest: the model's output error, per component and together.

    python -m benchmarks.method_quality [MODEL ...]

For each component of the zoo's models, alone and all together, at 2, 3 and 4 bits: the relative error
of the logits on held-out calibration samples, ||logits_q - logits|| / ||logits||, and the mean divergence
KL(base || variant) per token. The models' own statistics (`independent`) serve all methods.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn

from benchmarks.harness import Figures
from bitloom.plan import Plan
from quantize.artifacts.prepare import Layers, prepare_independent
from quantize.calibration.passes import CalibrationPass
from quantize.checkpoint import Checkpoint, open_checkpoint
from quantize.resolve import resolve
from quantize.source import TensorSource
from quantize.store import ObjectStore

BITS = (2, 3, 4)
METHODS = ("rtn", "gptq", "awq")
COMPONENTS = ("vision", "connector", "language", "all")
SAMPLES = 128


def main(bases: Sequence[str]) -> int:
    """Measure the models; the bar is that no method is worse than rtn where rtn is not noise already."""
    figures: dict[str, float | int | str] = {}
    holds = True
    for base in bases:
        for component, method, bits, error, divergence in measure(base):
            figures[f"{Path(base).name} {component} {bits} bits {method}: error"] = error
            figures[f"{Path(base).name} {component} {bits} bits {method}: KL"] = divergence
        for component in COMPONENTS:
            for bits in BITS:
                errors = [figures[f"{Path(base).name} {component} {bits} bits {m}: error"] for m in METHODS]
                holds = holds and max(map(float, errors[1:])) <= float(errors[0])
    bar = "gptq's and awq's output error is at most rtn's, for every component and width"
    return Figures("method_quality", figures, bar, holds).close()


def measure(base: str) -> list[tuple[str, str, int, float, float]]:
    """Component, method, bits, relative error of the logits and divergence, for each combination."""
    checkpoint = open_checkpoint(base)
    choices = [(c, m, b) for c in COMPONENTS for m in METHODS for b in BITS]
    plans = [plan_of(base, component, method, bits) for component, method, bits in choices]
    calibrated = CalibrationPass(checkpoint, plans[0].calibration)
    resolved: list[Layers] = [resolve(plan, checkpoint) for plan in plans]
    with tempfile.TemporaryDirectory() as root:
        sources = prepare_independent(calibrated, resolved, ObjectStore(Path(root)))
        probe = Probe(checkpoint, calibrated)
        return [
            (*choice, *probe.compare(source, layers))
            for choice, source, layers in zip(choices, sources, resolved, strict=True)
        ]


def plan_of(base: str, component: str, method: str, bits: int) -> Plan:
    """One component (or all) by one method at one width."""
    rule = {"component": component, "method": method, "bits": bits, "group_size": 64}
    document = {
        "name": f"{component}-{method}-{bits}",
        "base": base,
        "rules": [rule],
        "calibration": {"samples": SAMPLES, "mode": "independent"},
    }
    return Plan.parse(document, source="benchmark")


class Probe:
    """The base model in float32, its logits on held-out samples, and those of variants put into it."""

    def __init__(self, checkpoint: Checkpoint, calibrated: CalibrationPass) -> None:
        self._family = checkpoint.family
        architecture = getattr(transformers, checkpoint.family.architectures[0])
        self._model: nn.Module = architecture.from_pretrained(
            checkpoint.directory, dtype=torch.float32
        ).eval()
        self._inputs = [batch.inputs for batch in calibrated.batches if batch.is_held_out]
        self._parameters = {
            self._family.written_name(name): parameter for name, parameter in self._model.named_parameters()
        }
        self._logits = self._run()

    def compare(self, source: TensorSource, layers: Layers) -> tuple[float, float]:
        """Relative error of the logits with the source's weights, and KL(base || variant) per token."""
        kept = {name: parameter.data for name, parameter in self._parameters.items()}
        quantized = {f"{layer.name}.weight": layer for layer in layers if layer.scheme is not None}
        for name, parameter in self._parameters.items():
            if name in quantized:
                parameter.data = source.quantized(quantized[name]).weight.dequantize()
            else:
                parameter.data = source.dense(name).to(torch.float32)
        logits = self._run()
        for name, parameter in self._parameters.items():
            parameter.data = kept[name]
        tokens = sum(b.shape[0] * b.shape[1] for b in self._logits)
        divergence = sum(_divergence(b, a) for a, b in zip(logits, self._logits, strict=True))
        return self.error(logits), divergence / tokens

    def error(self, logits: list[Tensor]) -> float:
        """Relative error of other logits of the same batches."""
        lost = sum(float((a - b).square().sum()) for a, b in zip(logits, self._logits, strict=True))
        return math.sqrt(lost / sum(float(b.square().sum()) for b in self._logits))

    @torch.no_grad()
    def _run(self) -> list[Tensor]:
        return [self._model(**inputs).logits for inputs in self._inputs]


def _divergence(base: Tensor, variant: Tensor) -> float:
    logarithms = base.log_softmax(-1)
    return float((logarithms.exp() * (logarithms - variant.log_softmax(-1))).sum())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["zoo/tiny-llava", "zoo/tiny-blip2"]))
