"""Seconds a plan of a study, against the peers' way: llm-compressor's `oneshot`, then an engine restart.

    python -m benchmarks.study_speed [PLANS [SAMPLES]]

Ours: plans of the preset `llava-vqa` are swapped into one live engine; a plan's seconds are those of
assembling and swapping, with the calibration, the quantization and the engine's start shared out over the
preset's 49 plans. Peers': one `oneshot` (saved) and one engine start a plan. Both then ask the same
samples, which takes as long either way; the seconds of asking are printed, and are part of neither.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figures
from benchmarks.oneshot_peer import PeerJob, run_peer
from bitloom.study.grid import read_grid
from bitloom.study.grid_expansion import expand
from bitloom.study.live.engine import EngineProcess
from bitloom.study.live.rooms import open_assembly, open_examination
from quantize.calibration.passes import CalibrationPass
from quantize.checkpoint import open_checkpoint

BASE = Path("zoo/tiny-llava")
LEAST_RATIO = 20.0


def main(plans: int = 8, samples: int = 20) -> int:
    """Measure both ways on this machine, one after the other."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        shared_s, swap_s, ask_s, start_s, size = run_own(plans, samples, work)
        calibration = read_grid("llava-vqa", base=str(BASE)).calibration
        batches = CalibrationPass(open_checkpoint(str(BASE)), calibration).batches
        job = PeerJob("peer", {"vision": ("gptq", 4), "language": ("gptq", 3)}, save=True)
        oneshot_s = run_peer(BASE, batches, [job], work)["peer"]
    own_s = swap_s + shared_s / size
    peer_s = oneshot_s + start_s
    figures: dict[str, float | int | str] = {
        "plans swapped": plans,
        "ours: calibrate, quantize all, start the engine, s": shared_s,
        "ours: assemble and swap, s a plan": swap_s,
        "ours: s a plan, the shared part included": own_s,
        "llm-compressor oneshot, s": oneshot_s,
        "engine start, s": start_s,
        "peers' way: s a plan": peer_s,
        "either way: asking, s a plan": ask_s,
        "ratio": peer_s / own_s,
        "ratio with asking": (peer_s + ask_s) / (own_s + ask_s),
    }
    holds = peer_s / own_s >= LEAST_RATIO
    return Figures("study_speed", figures, f"ratio >= {LEAST_RATIO:.0f}", holds).close()


def run_own(plans: int, samples: int, work: Path) -> tuple[float, float, float, float, int]:
    """Seconds of the shared part, of a swap, of asking and of an engine's start; plans of the preset."""
    entries = expand(read_grid("llava-vqa", base=str(BASE)))
    started = time.monotonic()
    assembly = open_assembly([entry.plan for entry in entries], work / "store")
    examination = open_examination("scenes:validation", ("vqa",), samples, BASE.name)
    prepared = time.monotonic()
    with EngineProcess(assembly.model) as engine:
        start_s = time.monotonic() - prepared
        engine.ask(examination.requests())
        swaps, asks, before = [], [], None
        for entry in entries[:plans]:
            begun = time.monotonic()
            assembly.write_changes(engine.swap_file, entry.plan, before)
            engine.swap(engine.swap_file)
            swapped = time.monotonic()
            engine.answer()
            swaps.append(swapped - begun)
            asks.append(time.monotonic() - swapped)
            before = entry.plan
    shared_s = prepared - started + start_s
    return shared_s, sum(swaps) / plans, sum(asks) / plans, start_s, len(entries)


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
