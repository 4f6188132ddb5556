"""One operating-system process in a group of its own, with its log in a file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from pathlib import Path

from bitloom.errors import WorkerError
from server.workers.command import WorkerCommand

TAIL_LINES = 20
TAIL_BYTES = 16 << 10


class WorkerProcess:
    """A running worker. `exited` becomes its return code (negative: the signal that killed it)."""

    def __init__(self, popen: subprocess.Popen[bytes], exited: asyncio.Future[int]) -> None:
        self._popen = popen
        self.exited = exited

    @property
    def pid(self) -> int:
        """Process id, also the id of its group."""
        return self._popen.pid

    @classmethod
    def spawn(cls, command: WorkerCommand, log_path: Path) -> WorkerProcess:
        """Start `command` with output appended to `log_path`; raise WorkerError where it cannot start.

        Must be called from the event loop's thread: workers die with the thread that started them.
        The umask makes the worker's socket 0600 from the moment it exists.
        """
        try:
            with log_path.open("ab") as log:
                popen = subprocess.Popen(
                    command.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **command.env},
                    start_new_session=True,
                    umask=0o077,
                )
        except OSError as exc:
            raise WorkerError(
                f"{command.argv[0]}: cannot be started with its log in {log_path} ({exc})"
            ) from exc
        loop = asyncio.get_running_loop()
        exited: asyncio.Future[int] = loop.create_future()
        # A thread a worker, not a child watcher: it is the same on every loop and platform.
        threading.Thread(target=_await_exit, args=(popen, loop, exited), daemon=True).start()
        return cls(popen, exited)

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, then after `grace_s` SIGKILL to the whole group; returns when the worker is gone."""
        if not self.exited.done():
            _signal(self.pid, signal.SIGTERM, group=False)
            await asyncio.wait({self.exited}, timeout=grace_s)
        # Also after a clean end: a child that the worker left behind is in its group.
        _signal(self.pid, signal.SIGKILL, group=True)
        await asyncio.wait({self.exited})


def _await_exit(
    popen: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop, exited: asyncio.Future[int]
) -> None:
    code = popen.wait()
    if not loop.is_closed():
        loop.call_soon_threadsafe(_resolve, exited, code)


def _resolve(exited: asyncio.Future[int], code: int) -> None:
    if not exited.done():
        exited.set_result(code)


def _signal(pid: int, number: signal.Signals, *, group: bool) -> None:
    try:
        (os.killpg if group else os.kill)(pid, number)
    except ProcessLookupError:
        return


def log_tail(path: Path) -> str:
    """The last lines of a log, for an error message; a note where there are none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-TAIL_LINES:]) or "(the log is empty)"
