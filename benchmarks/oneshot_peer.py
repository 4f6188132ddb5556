"""llm-compressor's `oneshot` as a peer: its environment, what it is given, what comes back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.harness import peer_environment
from quantize.calibration.batches import Batch

REQUIREMENTS = ("llmcompressor==0.14.0.1",)
SCRIPT = Path(__file__).parent / "peers" / "oneshot.py"
Schemes = Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class PeerJob:
    """One `oneshot`: method and bits of each component; `save` writes the checkpoint instead of figures."""

    name: str
    schemes: Schemes
    save: bool = False


@dataclass(frozen=True, slots=True)
class PeerSeconds:
    """Seconds of each job: by the clock, and of all threads on the CPU."""

    wall: dict[str, float]
    cpu: dict[str, float]


def run_peer(model: Path, batches: Sequence[Batch], jobs: Sequence[PeerJob], work: Path) -> dict[str, float]:
    """Run the jobs on the same calibration batches in one process of the peer; seconds of each.

    Results lie in `work/NAME/`. CalledProcessError where the peer cannot be installed or fails.
    """
    return time_peer(model, batches, jobs, work).wall


def time_peer(model: Path, batches: Sequence[Batch], jobs: Sequence[PeerJob], work: Path) -> PeerSeconds:
    """As `run_peer`, with the CPU's seconds beside the clock's."""
    python = peer_environment("llm-compressor", REQUIREMENTS)
    for part in (False, True):
        torch.save([b.inputs for b in batches if b.is_held_out is part], work / f"batches-{part}.pt")
    document = {
        "model": str(model.resolve()),
        "calibration": str(work / "batches-False.pt"),
        "held_out": str(work / "batches-True.pt"),
        "out": str(work),
        "jobs": [{"name": job.name, "schemes": dict(job.schemes), "save": job.save} for job in jobs],
    }
    (work / "jobs.json").write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run([python, SCRIPT, work / "jobs.json"], check=True, stdout=subprocess.PIPE, text=True)
    closing = json.loads(done.stdout.strip().split("\n")[-1])
    return PeerSeconds(closing["seconds"], closing["cpu_seconds"])
