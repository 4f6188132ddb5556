"""Peak memory of quantizing checkpoints that are larger than it: 7B-shaped by RTN, 1B-shaped by GPTQ.

    python -m benchmarks.quantize_memory [rtn | gptq]

Random bf16 weights in shards of 2 GB, written and removed below BITLOOM_BENCHMARK_SCRATCH (default: the
system's temporary directory; 20 GB of room). Each run is a process of its own, and its peak resident set
is the kernel's own figure (VmHWM). Throughput is bytes of weights read and written a second,
beside what the disk does when the same bytes are merely copied.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figures, peak_rss, run_isolated
from benchmarks.shapes import LLAVA_1B, LLAVA_7B, write_checkpoint
from bitloom.plan import Plan

SCRATCH_VARIABLE = "BITLOOM_BENCHMARK_SCRATCH"
SHAPES = {"rtn": LLAVA_7B, "gptq": LLAVA_1B}
LIMITS_GB = {"rtn": 4.0, "gptq": 6.0}
CALIBRATION_SAMPLES = 16


def main(methods: list[str]) -> int:
    """Make each checkpoint, quantize it in a process of its own, and compare with the limits."""
    figures: dict[str, float | int | str] = {}
    holds = True
    with tempfile.TemporaryDirectory(dir=os.environ.get(SCRATCH_VARIABLE)) as directory:
        for method in methods:
            base = write_checkpoint(Path(directory) / f"base-{method}", SHAPES[method])
            stored = sum(path.stat().st_size for path in base.glob("*.safetensors"))
            figures[f"{method}: checkpoint, GB"] = stored / 1e9
            figures[f"{method}: disk copy, MB/s"] = copy_rate(base)
            done = json.loads(run_isolated("benchmarks.quantize_memory", "child", method, str(base)))
            figures[f"{method}: peak resident set, GB"] = done["peak_bytes"] / 1e9
            figures[f"{method}: before quantizing, GB"] = done["before_bytes"] / 1e9
            figures[f"{method}: the dry run's estimate beside that, GB"] = done["estimated_bytes"] / 1e9
            figures[f"{method}: seconds"] = done["seconds"]
            figures[f"{method}: throughput, MB/s"] = (stored + done["written_bytes"]) / done["seconds"] / 1e6
            holds = holds and done["peak_bytes"] <= LIMITS_GB[method] * 1e9
            shutil.rmtree(base)
    bar = ", ".join(f"{method}: peak resident set <= {LIMITS_GB[method]:.0f} GB" for method in methods)
    return Figures("quantize_memory", figures, bar, holds).close()


def child(method: str, base: str) -> int:
    """Quantize all components to 4 bits; the last line is what it took."""
    from quantize.pipeline import quantize
    from quantize.preview import preview

    document = {
        "name": f"memory-{method}",
        "base": base,
        "rules": [
            {"component": "all", "method": method, "bits": 4, "group_size": 64},
            {"layers": "head", "bits": 16},
        ],
        "calibration": {"samples": CALIBRATION_SAMPLES},
    }
    work = Path(f"{base}-out")
    plan = Plan.parse(document, source="benchmark")
    estimated, before = preview(plan).peak_bytes, peak_rss()
    started = time.monotonic()
    manifest = quantize(plan, work / "variant", store=work / "store")
    seconds = time.monotonic() - started
    written = sum(entry.bytes for entry in manifest.files)
    shutil.rmtree(work)
    done = {
        "peak_bytes": peak_rss(),
        "before_bytes": before,
        "estimated_bytes": estimated,
        "seconds": seconds,
        "written_bytes": written,
    }
    print(json.dumps(done), flush=True)
    return 0


def copy_rate(base: Path) -> float:
    """Megabytes read and written a second when one shard is copied and synced."""
    shard = max(base.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    started = time.monotonic()
    copy = shard.with_suffix(".copy")
    shutil.copyfile(shard, copy)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    seconds = time.monotonic() - started
    copy.unlink()
    return 2 * shard.stat().st_size / seconds / 1e6


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        sys.exit(child(sys.argv[2], sys.argv[3]))
    sys.exit(main(sys.argv[1:] or ["rtn", "gptq"]))
