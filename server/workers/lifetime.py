"""Worker processes never outlive the gateway, nor their own children them.

Linux kills a process whose parent thread ends if it asked for that (prctl(2), PR_SET_PDEATHSIG).
The request survives exec but not fork, so it is repeated in every forked child. Elsewhere a thread
watches the parent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

from server.workers.command import PARENT_ENV

PR_SET_PDEATHSIG = 1
WATCH_INTERVAL_S = 1.0


def die_with_gateway() -> None:
    """Tie this worker process to the one that started it, and its forked children to itself."""
    expected = os.environ.get(PARENT_ENV)
    die_with_parent(int(expected) if expected else os.getppid())
    forking: list[int] = []
    # The parent's id is taken before the fork: the child may come to ask only when it is dead.
    os.register_at_fork(
        before=lambda: forking.append(os.getpid()),
        after_in_parent=forking.clear,
        after_in_child=lambda: die_with_parent(forking.pop()),
    )


def die_with_parent(parent: int) -> None:
    """Have this process killed when `parent`, its parent process, ends; at once if it already has."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()
    if os.getppid() != parent:  # it ended before the request was made
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_INTERVAL_S)
    os.kill(os.getpid(), signal.SIGKILL)
