"""Progress bars of a run on a terminal, or nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class SilentProgress:
    """Shows nothing, keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, task: str, total: int, done: int) -> None:
        """A task begins."""

    def advance(self, task: str, *, is_failed: bool) -> None:
        """One more is done."""

    def note(self, text: str) -> None:
        """Keep a note."""
        self.notes.append(text)


class ProgressBars(SilentProgress):
    """One bar a task, with the number of failures. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:>10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._ids: dict[str, TaskID] = {}
        self._failed: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, task: str, total: int, done: int) -> None:
        """Add the task's bar."""
        self._failed[task] = 0
        self._ids[task] = self._bars.add_task(task, total=total, completed=done, failed="")

    def advance(self, task: str, *, is_failed: bool) -> None:
        """Move the task's bar."""
        self._failed[task] += is_failed
        shown = f"{self._failed[task]} failed" if self._failed[task] else ""
        self._bars.update(self._ids[task], advance=1, failed=shown)

    def note(self, text: str) -> None:
        """Print the note above the bars, and keep it."""
        super().note(text)
        self._console.print(f"note: {text}", style="yellow", markup=False, highlight=False)
