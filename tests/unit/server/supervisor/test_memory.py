"""Memory of a process tree, between two close looks too."""

from __future__ import annotations

import subprocess
import sys

import pytest

from server.supervisor.memory import TreeMemory

PIECE = 50 << 20
GROWS = f"""
import sys
kept = []
print("ready", flush=True)
for line in sys.stdin:
    kept.append(b"x" * {PIECE})
    print("grown", flush=True)
"""


@pytest.mark.parametrize("thorough_every_s", [0.0, 3600.0])
def test_growth_is_seen_with_and_without_a_close_look(thorough_every_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", GROWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        memory = TreeMemory(child.pid, thorough_every_s=thorough_every_s)
        before = memory.resident_bytes()
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "grown\n"
        assert memory.resident_bytes() - before == pytest.approx(PIECE, rel=0.1)
        child.stdin.close()
    assert memory.resident_bytes() == 0
