"""Calibration, GPTQ and AWQ of a LLaVA-1.5-7B-shaped checkpoint on a CUDA GPU, block by block.

    python -m benchmarks.gpu_quantize

Random bf16 weights and the scenes as samples, written and removed below BITLOOM_BENCHMARK_SCRATCH (30 GB of
room). Each run is a process of its own: minutes, the most that PyTorch had on the GPU, the resident set's
peak. The integers are compared with the CPU's on a checkpoint of the same widths with two blocks a stack,
since all of it would take a CPU days. Where no GPU is at hand nothing is run, and nothing holds or fails.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Figures, peak_rss, run_isolated
from benchmarks.quantize_memory import SCRATCH_VARIABLE
from benchmarks.shapes import LLAVA_15_7B, write_checkpoint
from bitloom import packing
from bitloom.dequantize import PACKED
from bitloom.plan import Plan
from bitloom.tensors import index_tensors, read_array
from bitloom.variant import read_manifest

METHODS = ("gptq", "awq")
SAMPLES = 128
FEW = 4  # for the comparison, which a CPU computes too
MOST_DIFFERING = 0.01
BAR = (
    "peak GPU memory below the checkpoint's bytes, and on two blocks a stack at most "
    f"{MOST_DIFFERING:.0%} of the integers other than the CPU's"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Integers of two variants of one plan: how many there are, how many differ, by how much at most."""

    count: int
    differing: int
    greatest: int

    @property
    def share(self) -> float:
        """Share of the integers that differ."""
        return self.differing / max(1, self.count)


def main() -> int:
    """Quantize by each method, then compare devices on the small checkpoint."""
    if not torch.cuda.is_available():
        print("no CUDA GPU is at hand: not run")
        return Figures("gpu_quantize", {}, BAR, None).close()
    figures: dict[str, float | int | str] = {"GPU": torch.cuda.get_device_name()}
    holds = True
    with tempfile.TemporaryDirectory(dir=os.environ.get(SCRATCH_VARIABLE)) as name:
        scratch = Path(name)
        base = write_checkpoint(scratch / "base", LLAVA_15_7B)
        stored = sum(path.stat().st_size for path in base.glob("*.safetensors"))
        for method in METHODS:
            done = run(method, base, scratch / method, "cuda", SAMPLES)
            figures[f"{method}: minutes"] = done["seconds"] / 60
            figures[f"{method}: peak on the GPU, GB"] = done["gpu_bytes"] / 1e9
            figures[f"{method}: peak resident set, GB"] = done["peak_bytes"] / 1e9
            holds = holds and done["gpu_bytes"] < stored
        small = write_checkpoint(scratch / "small", replace(LLAVA_15_7B, vision_blocks=2, blocks=2))
        for method in METHODS:
            for device in ("cuda", "cpu"):
                run(method, small, scratch / f"{method}-{device}", device, FEW)
            found = difference(*(scratch / f"{method}-{device}" / "variant" for device in ("cuda", "cpu")))
            figures[f"{method}: share of integers other than the CPU's"] = found.share
            figures[f"{method}: greatest difference of an integer"] = found.greatest
            holds = holds and found.share <= MOST_DIFFERING
    return Figures("gpu_quantize", figures, BAR, holds).close()


def run(method: str, base: Path, work: Path, device: str, samples: int) -> dict[str, float]:
    """Quantize in a process of its own; its seconds and peaks."""
    arguments = ("child", method, str(base), str(work), device, str(samples))
    done: dict[str, float] = json.loads(run_isolated("benchmarks.gpu_quantize", *arguments))
    return done


def child(method: str, base: str, work: str, device: str, samples: str) -> int:
    """Quantize vision tower, connector and language model to 4 bits; the last line is what it took."""
    from quantize.device import find_device
    from quantize.pipeline import quantize

    document = {
        "name": f"gpu-{method}",
        "base": base,
        "rules": [
            {"component": "all", "method": method, "bits": 4, "group_size": 64},
            {"layers": "head", "bits": 16},
        ],
        "calibration": {"samples": int(samples), "mode": "independent"},
    }
    started = time.monotonic()
    quantize(
        Plan.parse(document, source="benchmark"),
        Path(work) / "variant",
        store=Path(work) / "store",
        device=find_device(device),
    )
    seconds = time.monotonic() - started
    gpu = torch.cuda.max_memory_allocated() if device != "cpu" else 0
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_rss(), "gpu_bytes": gpu}), flush=True)
    return 0


def difference(one: Path, other: Path) -> Difference:
    """Compare the packed integers of two variants of one plan, layer by layer."""
    entries = index_tensors(one), index_tensors(other)
    count = differing = greatest = 0
    for layer in read_manifest(one).layers:
        name = f"{layer.name}.{PACKED}"
        if name not in entries[0]:
            continue
        bits, inputs = layer.container_bits or layer.bits, layer.shape[1]
        mine, theirs = (packing.unpack(read_array(each[name]), bits, inputs) for each in entries)
        gaps = np.abs(mine.astype(np.int16) - theirs.astype(np.int16))
        count += gaps.size
        differing += int((gaps > 0).sum())
        greatest = max(greatest, int(gaps.max()))
    return Difference(count, differing, greatest)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        sys.exit(child(*sys.argv[2:]))
    sys.exit(main())
