"""A run that ends before its time leaves no directory; the next one goes on from what was kept."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from bitloom.dequantize import dequantized_state
from bitloom.errors import BitloomError
from bitloom.plan import Plan
from bitloom.variant import LayerRecord, read_manifest
from quantize.pipeline import quantize

ROOT = Path(__file__).parents[3]
ZOO = Path(os.environ.get("BITLOOM_ZOO", ROOT / "zoo"))
RTN = [{"bits": 4, "group_size": 64}]
DEADLINE_S = 600


def test_a_disk_that_fills_up_between_layers_leaves_nothing(llava_base: Path, tmp_path: Path) -> None:
    plan = Plan.parse({"name": "p", "base": str(llava_base), "rules": RTN}, source="test")
    written: list[str] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(record: LayerRecord) -> None:
        written.append(record.name)
        if len(written) == 5:  # from here on the system takes no byte past the first thousand of a file
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))

    try:
        with pytest.raises(BitloomError, match=r"could not be written .*; nothing was left behind"):
            quantize(plan, tmp_path / "v", on_layer=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(written) >= 5
    assert list(tmp_path.iterdir()) == []
    quantize(plan, tmp_path / "v")
    assert read_manifest(tmp_path / "v").name == "p"


def start(plan: Path, out: Path, store: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "bitloom",
        "quantize",
        str(plan),
        "--out",
        str(out),
        "--store",
        str(store),
    ]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})


def objects(store: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in store.glob("objects/??/*.safetensors")}


@pytest.mark.slow
@pytest.mark.timeout(3 * DEADLINE_S)
def test_a_killed_run_is_resumed_from_the_store(tmp_path: Path) -> None:
    document = {
        "name": "killed",
        "base": str(ZOO / "tiny-llava"),
        "rules": [{"bits": 3, "method": "gptq", "group_size": 64}],
        "calibration": {"samples": 16},
    }
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump(document))
    process = start(plan, tmp_path / "killed", tmp_path / "store")
    deadline = time.monotonic() + DEADLINE_S
    while len(objects(tmp_path / "store")) < 20:
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed").exists()
    kept = objects(tmp_path / "store")
    assert start(plan, tmp_path / "killed", tmp_path / "store").wait(DEADLINE_S) == 0
    after = objects(tmp_path / "store")
    assert len(after) > len(kept), "it was killed too late to prove anything"
    assert kept.keys() <= after.keys()
    assert start(plan, tmp_path / "whole", tmp_path / "other").wait(DEADLINE_S) == 0
    whole = dict(dequantized_state(tmp_path / "whole"))
    for name, array in dequantized_state(tmp_path / "killed"):
        assert (array == whole[name]).all(), name
