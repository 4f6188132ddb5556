"""Memory of a process tree."""

from __future__ import annotations

from pathlib import Path

import psutil

KIB = 1024


def resident_bytes(pid: int) -> int:
    """Resident memory of `pid` and its descendants in bytes, 0 where it is gone.

    On Linux the proportional set: a page that several processes share (a forked engine core shares
    most of its parent's) counts once in the sum. Elsewhere the resident sets, shared pages counted
    once for each process.
    """
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_resident(process) for process in tree)


def _resident(process: psutil.Process) -> int:
    try:
        return _proportional(process.pid) or int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _proportional(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * KIB for line in lines if line.startswith("Pss:")), None)
