"""Seconds a plan of a study, against the peers' way: llm-compressor's `oneshot`, then an engine restart.

    python -m benchmarks.study_speed [ROUNDS [PLANS [SAMPLES]]]

Ours: plans of the preset `llava-vqa` are swapped into one live engine; a plan's seconds are those of
assembling and swapping, with the calibration, the quantization of all plans (an empty store) and the engine's
start shared out over the preset's 49 plans. Peers': one `oneshot` (saved) and one engine start a plan. Both
then ask the same samples, which takes as long either way; the seconds of asking are printed, and are part of
neither.

What else the machine does changes both ways, and not at the same moments: each round measures all of it anew,
PLANS of the preset's, the ratio is taken within the round, and the median round counts. An engine's start is
part of both ways and is measured once a round. The same ratio in seconds of the CPU, of all threads, is
printed beside it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from benchmarks.harness import Figures
from benchmarks.oneshot_peer import PeerJob, time_peer
from bitloom.study.grid import read_grid
from bitloom.study.grid_expansion import GridEntry, expand
from bitloom.study.live.engine import EngineProcess
from bitloom.study.live.rooms import open_assembly, open_examination
from quantize.calibration.batches import Batch
from quantize.calibration.passes import CalibrationPass
from quantize.checkpoint import open_checkpoint

BASE = Path("zoo/tiny-llava")
PEER = PeerJob("peer", {"vision": ("gptq", 4), "language": ("gptq", 3)}, save=True)
ROUNDS, PLANS, SAMPLES = 3, 8, 20
LEAST_RATIO = 20.0


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of one round: of all plans (`prepare`, `start`), of one plan (the others)."""

    prepare: float
    start: float
    swap: float
    ask: float
    oneshot: float

    def ours(self, plans: int) -> float:
        """Seconds a plan in a study of so many plans, without asking."""
        return self.swap + (self.prepare + self.start) / plans

    @property
    def peers(self) -> float:
        """Seconds a plan the peers' way, without asking."""
        return self.oneshot + self.start


def main(rounds: int, plans: int, samples: int) -> int:
    """Measure both ways in turns."""
    entries = expand(read_grid("llava-vqa", base=str(BASE)))
    calibration = read_grid("llava-vqa", base=str(BASE)).calibration
    batches = CalibrationPass(open_checkpoint(str(BASE)), calibration).batches
    walls, cpus = [], []
    for number in range(rounds):
        chosen = [entries[(number * plans + step) % len(entries)] for step in range(plans)]
        with tempfile.TemporaryDirectory() as directory:
            wall, cpu = measure(entries, chosen, samples, batches, Path(directory))
        ratio = wall.peers / wall.ours(len(entries))
        print(f"round {number + 1}: {wall}, ratio {ratio:.1f}", flush=True)
        walls.append(wall)
        cpus.append(cpu)
    return judge(walls, cpus, len(entries), plans).close()


def judge(walls: Sequence[Round], cpus: Sequence[Round], size: int, plans: int) -> Figures:
    """Medians over the rounds; the bar is on the clock's ratio."""
    ratios = [each.peers / each.ours(size) for each in walls]
    figures: dict[str, float | int | str] = {"rounds": len(walls), "plans swapped a round": plans}
    for unit, rows in (("s", walls), ("CPU s", cpus)):
        for each in fields(Round):
            middle = statistics.median(getattr(row, each.name) for row in rows)
            figures[f"{each.name}, {unit}"] = float(middle)
        figures[f"ours, {unit} a plan"] = statistics.median(row.ours(size) for row in rows)
        figures[f"peers' way, {unit} a plan"] = statistics.median(row.peers for row in rows)
    figures["ratio, lowest and highest round"] = f"{min(ratios):.1f} .. {max(ratios):.1f}"
    figures["ratio in CPU seconds"] = statistics.median(row.peers / row.ours(size) for row in cpus)
    figures["ratio with asking"] = statistics.median(
        (row.peers + row.ask) / (row.ours(size) + row.ask) for row in walls
    )
    figures["ratio"] = statistics.median(ratios)
    bar = f"median ratio by the clock >= {LEAST_RATIO:.0f}"
    return Figures("study_speed", figures, bar, statistics.median(ratios) >= LEAST_RATIO)


def measure(
    entries: Sequence[GridEntry],
    chosen: Sequence[GridEntry],
    samples: int,
    batches: Sequence[Batch],
    work: Path,
) -> tuple[Round, Round]:
    """One round: seconds by the clock, and of the CPU."""
    watch = Stopwatch()
    assembly = open_assembly([entry.plan for entry in entries], work / "store")
    prepare = watch.lap()
    examination = open_examination("scenes:validation", ("vqa",), samples, BASE.name)
    watch.lap()
    swaps, asks, before = [], [], None
    with EngineProcess(assembly.model) as engine:
        start = watch.lap(engine.pid)
        engine.ask(examination.requests())
        for entry in chosen:
            watch.lap(engine.pid)
            assembly.write_changes(engine.swap_file, entry.plan, before)
            engine.swap(engine.swap_file)
            swaps.append(watch.lap(engine.pid))
            engine.answer()
            asks.append(watch.lap(engine.pid))
            before = entry.plan
    found = time_peer(BASE, batches, [PEER], work)
    oneshot = (found.wall[PEER.name], found.cpu[PEER.name])
    rows = [
        Round(prepare[unit], start[unit], _mean(swaps, unit), _mean(asks, unit), oneshot[unit])
        for unit in (0, 1)
    ]
    return rows[0], rows[1]


class Stopwatch:
    """Laps in seconds: by the clock, and of the CPU in this process and one other."""

    def __init__(self) -> None:
        self._last = (time.monotonic(), time.process_time())
        self._other = 0.0

    def lap(self, pid: int | None = None) -> tuple[float, float]:
        """Seconds since the lap before. A process that is new since then counts from its start."""
        other = 0.0 if pid is None else cpu_seconds(pid)
        now = (time.monotonic(), time.process_time())
        wall, own = now[0] - self._last[0], now[1] - self._last[1]
        theirs = other - self._other if pid is not None else 0.0
        self._last, self._other = now, other
        return wall, own + theirs


def cpu_seconds(pid: int) -> float:
    """Seconds on the CPU of a process' threads so far (Linux, proc(5))."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _mean(laps: Sequence[tuple[float, float]], unit: int) -> float:
    return statistics.fmean(lap[unit] for lap in laps)


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(given + [ROUNDS, PLANS, SAMPLES][len(given) :])))
