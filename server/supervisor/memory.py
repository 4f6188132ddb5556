"""Memory of a process tree."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

KIB = 1024
THOROUGH_EVERY_S = 5.0


class TreeMemory:
    """Resident memory of a process and its descendants, cheap enough to be read five times a second.

    On Linux the proportional set: a page that several processes share (a forked engine core shares most
    of its parent's) counts once in the sum. Elsewhere the resident sets, shared pages counted once for each
    process. Finding the descendants and their proportional sets takes the kernel tens of milliseconds, in
    which a worker cannot map memory; so that is done every few seconds, and in between the change of the
    resident sets is added to it.
    """

    def __init__(self, pid: int, *, thorough_every_s: float = THOROUGH_EVERY_S) -> None:
        self.pid = pid
        self._thorough_every_s = thorough_every_s
        self._next_s = 0.0
        self._tree: list[psutil.Process] = []
        self._shared = 0

    def resident_bytes(self) -> int:
        """Bytes now, 0 where the processes are gone."""
        if time.monotonic() >= self._next_s:
            self._look_closely()
        resident = sum(_resident(process) for process in self._tree)
        return max(0, resident - self._shared) if resident else 0

    def _look_closely(self) -> None:
        self._next_s = time.monotonic() + self._thorough_every_s
        self._tree = process_tree(self.pid)
        sets = [(_resident(process), _proportional(process.pid)) for process in self._tree]
        self._shared = sum(resident - proportional for resident, proportional in sets if proportional)


def process_tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants, none where it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _proportional(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * KIB for line in lines if line.startswith("Pss:")), None)
