"""A grid, run: each plan measured by one of some evaluators, each result a row at once, whatever happens."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bitloom.errors import BitloomError, WorkerError
from bitloom.study.evaluator import Evaluator, PlanResult
from bitloom.study.grid_expansion import GridEntry
from bitloom.study.table import ResultsTable

logger = logging.getLogger(__name__)

ATTEMPTS = 2
RowListener = Callable[[GridEntry, int, int], None]
"""Hears of each plan that has a row: the plan, how many have one, of how many."""


@dataclass(slots=True)
class _Task:
    entry: GridEntry
    attempts: int = 0
    last_worker: int | None = None


def run_grid(
    entries: Sequence[GridEntry],
    table: ResultsTable,
    evaluators: Sequence[Evaluator],
    on_row: RowListener = lambda *_: None,
) -> None:
    """Measure the plans that the table has no measured row of, in their order.

    A plan whose engine died is tried once more, by another evaluator where there is one, and then is a
    failed row. Plans that cannot be measured are failed rows at once. KeyboardInterrupt leaves the table
    whole: what it holds is not measured again.
    """
    measured = table.hashes("measured")
    pending = [_Task(entry) for entry in entries if entry.plan.hash not in measured]
    _Pool(pending, table, evaluators, len(entries), on_row).run()


class _Pool:
    """One thread an evaluator; they take tasks from one list, and share the table under a lock."""

    def __init__(
        self,
        pending: Sequence[_Task],
        table: ResultsTable,
        evaluators: Sequence[Evaluator],
        total: int,
        on_row: RowListener,
    ) -> None:
        self._pending = list(pending)
        self._open = len(self._pending)
        self._table = table
        self._evaluators = evaluators
        self._total = total
        self._on_row = on_row
        self._changed = threading.Condition()
        self._faults: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def run(self) -> None:
        """Run all tasks; raise what an evaluator raised that is no BitloomError."""
        threads = [
            threading.Thread(target=self._work, args=(number, evaluator), daemon=True)
            for number, evaluator in enumerate(self._evaluators)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not self._faults.empty():
            raise self._faults.get()

    def _work(self, number: int, evaluator: Evaluator) -> None:
        try:
            while (task := self._take(number)) is not None:
                self._measure(task, number, evaluator)
        except BaseException as exc:  # noqa: BLE001 - raised again by the thread that waits
            self._faults.put(exc)
            with self._changed:
                self._open = 0
                self._changed.notify_all()

    def _take(self, number: int) -> _Task | None:
        """The next task that this worker may have; None when all are done. Waits for retries of others."""
        with self._changed:
            while self._open:
                for place, task in enumerate(self._pending):
                    if task.last_worker != number or len(self._evaluators) == 1:
                        return self._pending.pop(place)
                self._changed.wait()
            return None

    def _measure(self, task: _Task, number: int, evaluator: Evaluator) -> None:
        started = time.monotonic()
        task.attempts += 1
        try:
            result: PlanResult | BitloomError = evaluator.evaluate(task.entry.plan)
        except BitloomError as exc:
            result = exc
        with self._changed:
            if isinstance(result, WorkerError) and task.attempts < ATTEMPTS:
                logger.warning("%s: %s; tried once more", task.entry.plan.name, result)
                task.last_worker = number
                self._pending.insert(0, task)
            else:
                self._write(task.entry, result, time.monotonic() - started)
                self._open -= 1
            self._changed.notify_all()

    def _write(self, entry: GridEntry, result: PlanResult | BitloomError, seconds: float) -> None:
        if isinstance(result, PlanResult):
            self._table.add_measured(entry, result)
        else:
            logger.warning("%s failed: %s", entry.plan.name, result)
            self._table.add_failed(entry, result, seconds)
        self._on_row(entry, len(self._table.rows), self._total)
