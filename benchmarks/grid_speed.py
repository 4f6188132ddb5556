"""A grid of mixed variants of tiny-llava from the store, against `oneshot` once per variant.

    python -m benchmarks.grid_speed [VARIANTS [PEER_VARIANTS]]

Each variant draws method (rtn, gptq) and bits (2..8) for each component. Ours: one calibration, every
layer quantized once at each width that occurs, then every variant written in full; the store is
empty at the start. llm-compressor: load, `oneshot`, save, for each of the first PEER_VARIANTS (default:
all) of the same variants, scaled to all. Wall-clock seconds of one run.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figures
from benchmarks.oneshot_peer import PeerJob, Schemes, run_peer
from bitloom.plan import COMPONENTS, Plan
from quantize.artifacts.prepare import prepare_independent
from quantize.calibration.passes import CalibrationPass
from quantize.checkpoint import open_checkpoint
from quantize.pipeline import quantize
from quantize.resolve import resolve
from quantize.store import ObjectStore

BASE = Path("zoo/tiny-llava")
VARIANTS = 100
SAMPLES = 128
LEAST_RATIO = 20.0


def main(variants: int, peer_variants: int) -> int:
    """Time both sides; the bar is the issue's."""
    random.seed(0)
    choices: list[Schemes] = [
        {component: (random.choice(["rtn", "gptq"]), random.randint(2, 8)) for component in COMPONENTS}
        for _ in range(variants)
    ]
    calibrated = CalibrationPass(open_checkpoint(str(BASE)), plan_of(0, choices[0]).calibration)
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        jobs = [PeerJob(f"peer-{n}", choices[n], save=True) for n in range(peer_variants)]
        seconds = run_peer(BASE, calibrated.batches, jobs, work)
        peer_s = sum(seconds.values()) / peer_variants * variants
        fill_s, write_s = run_own(choices, work)
    ratio = peer_s / (fill_s + write_s)
    figures: dict[str, float | int | str] = {
        "variants": variants,
        "variants the peer really made": peer_variants,
        "ours: calibrate and quantize every layer once, s": fill_s,
        "ours: write all variants, s": write_s,
        "llm-compressor: all variants, s": peer_s,
        "ratio": ratio,
    }
    return Figures("grid_speed", figures, f"ratio >= {LEAST_RATIO:.0f}", ratio >= LEAST_RATIO).close()


def run_own(choices: list[Schemes], work: Path) -> tuple[float, float]:
    """Seconds to fill an empty store, calibration included, and to write all variants from it."""
    started = time.monotonic()
    plans = [plan_of(index, choice) for index, choice in enumerate(choices)]
    checkpoint = open_checkpoint(str(BASE))
    calibrated = CalibrationPass(checkpoint, plans[0].calibration)
    layers = [resolve(plan, checkpoint) for plan in plans]
    sources = prepare_independent(calibrated, layers, ObjectStore(work / "store"))
    filled = time.monotonic()
    for plan, source in zip(plans, sources, strict=True):
        quantize(plan, work / plan.name, source=source)
    return filled - started, time.monotonic() - filled


def plan_of(index: int, choice: Schemes) -> Plan:
    """One variant of the grid; the head stays dense, as it does at the peer's."""
    rules = [
        {"component": component, "method": method, "bits": bits, "group_size": 64}
        for component, (method, bits) in choice.items()
    ]
    document = {
        "name": f"variant-{index}",
        "base": str(BASE),
        "rules": [*rules, {"layers": "head", "bits": 16}],
        "calibration": {"samples": SAMPLES, "mode": "independent"},
    }
    return Plan.parse(document, source="benchmark")


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    total = given[0] if given else VARIANTS
    sys.exit(main(total, given[1] if len(given) > 1 else total))
