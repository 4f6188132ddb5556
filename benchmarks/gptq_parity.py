"""GPTQ and AWQ on tiny-llava's language model against llm-compressor's, same samples and scheme.

    python -m benchmarks.gptq_parity

Group size 64, symmetric, static groups walked by falling activations (llm-compressor's default, `actorder:
static`, spelled out for both), no clipping, no row kept as RTN has it. Both calibrate block by block behind
their own quantized predecessors. GPTQ is judged by the mean relative output error of the layers under the
full-precision model's held-out inputs; AWQ, whose weights are scaled, by the error of the held-out logits.
Ours with its default options is printed too.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.harness import Figures
from benchmarks.method_quality import Probe, plan_of
from benchmarks.oneshot_peer import PeerJob, run_peer
from quantize.artifacts.keys import statistics_key
from quantize.artifacts.prepare import Layers, prepare_independent, prepare_sequential
from quantize.artifacts.serialize import stored_statistics
from quantize.calibration.passes import CalibrationPass
from quantize.calibration.statistics import UnitStatistics
from quantize.checkpoint import open_checkpoint
from quantize.methods.losses import relative_output_error
from quantize.options import GptqOptions
from quantize.reading import read_tensor
from quantize.resolve import resolve
from quantize.store import ObjectStore

BASE = Path("zoo/tiny-llava")
BITS = (3, 4)
PEER_OPTIONS = GptqOptions(act_order=True, static_groups=True, clip=False, keep_better_rows=False)
TOLERANCE = 1.01


def main() -> int:
    """Run both sides; the bar is the issue's."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        bench = Bench(work)
        jobs = [PeerJob(f"{m}-{b}", {"language": (m, b)}) for m in ("gptq", "awq") for b in BITS]
        run_peer(BASE, bench.calibrated.batches, jobs, work)
        figures: dict[str, float | int | str] = {}
        for bits in BITS:
            figures[f"gptq {bits} bits, ours: mean layer error"] = bench.gptq(bits, PEER_OPTIONS)
            figures[f"gptq {bits} bits, llm-compressor: mean layer error"] = bench.peer_gptq(bits)
            figures[f"gptq {bits} bits, ours with default options"] = bench.gptq(bits, GptqOptions())
            figures[f"awq {bits} bits, ours: logits error"] = bench.awq(bits)
            figures[f"awq {bits} bits, llm-compressor: logits error"] = bench.peer_awq(bits)
    holds = all(
        float(figures[f"gptq {bits} bits, ours: mean layer error"])
        <= TOLERANCE * float(figures[f"gptq {bits} bits, llm-compressor: mean layer error"])
        and float(figures[f"awq {bits} bits, ours: logits error"])
        <= float(figures[f"awq {bits} bits, llm-compressor: logits error"])
        for bits in BITS
    )
    bar = "gptq's mean layer error at most 1.01 times llm-compressor's, awq's logits error at most its"
    return Figures("gptq_parity", figures, bar, holds).close()


class Bench:
    """One calibration for both sides, and the full-precision statistics that judge them."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._checkpoint = open_checkpoint(str(BASE))
        self.calibrated = CalibrationPass(
            self._checkpoint, plan_of(str(BASE), "language", "gptq", 4).calibration
        )
        store = ObjectStore(work / "store")
        prepare_independent(self.calibrated, [self._layers("gptq", 4)], store)
        self._statistics: dict[str, UnitStatistics] = {}
        for unit in self.calibrated.units:
            if unit.prefix is not None and unit.layers[0].component == "language":
                key = statistics_key(self.calibrated.identity, unit.name)
                self._statistics |= dict.fromkeys(
                    (layer.name for layer in unit.layers), stored_statistics(store.get(key))
                )
        self._probe = Probe(self._checkpoint, self.calibrated)

    def gptq(self, bits: int, options: GptqOptions) -> float:
        """Mean layer error of ours."""
        layers = self._layers("gptq", bits)
        with tempfile.TemporaryDirectory(dir=self._work) as root:
            source = prepare_sequential(self.calibrated, layers, ObjectStore(Path(root)), options=options)
            by_name = {layer.name: layer for layer in layers}
            return self._mean_error(
                {name: source.quantized(by_name[name]).weight.dequantize() for name in self._statistics}
            )

    def peer_gptq(self, bits: int) -> float:
        """Mean layer error of the peer's."""
        weights = load_file(self._work / f"gptq-{bits}" / "weights.safetensors")
        written = self._checkpoint.family.written_name
        named = {
            written(f"{name}.weight").removesuffix(".weight"): weight for name, weight in weights.items()
        }
        return self._mean_error({name: named[name] for name in self._statistics})

    def awq(self, bits: int) -> float:
        """Error of the logits of ours."""
        layers = self._layers("awq", bits)
        with tempfile.TemporaryDirectory(dir=self._work) as root:
            source = prepare_sequential(self.calibrated, layers, ObjectStore(Path(root)))
            return self._probe.compare(source, layers)[0]

    def peer_awq(self, bits: int) -> float:
        """Error of the logits of the peer's."""
        return self._probe.error(torch.load(self._work / f"awq-{bits}" / "logits.pt"))

    def _layers(self, method: str, bits: int) -> Layers:
        plan = plan_of(str(BASE), "language", method, bits)
        dense_head = plan.rules[0].model_copy(update={"layers": "head", "bits": 16})
        return resolve(plan.model_copy(update={"rules": (*plan.rules, dense_head)}), self._checkpoint)

    def _mean_error(self, effective: dict[str, torch.Tensor]) -> float:
        errors = []
        for name, weight in effective.items():
            base = read_tensor(self._checkpoint.tensors[f"{name}.weight"]).float()
            held_out = self._statistics[name].of(name).held_out
            if held_out is None:
                raise AssertionError(f"{name}: no held-out samples")
            errors.append(relative_output_error(base, weight.float(), held_out) or 0.0)
        return sum(errors) / len(errors)


if __name__ == "__main__":
    sys.exit(main())
