"""The quality pass: every sample asked once, a bounded number at a time, each record kept as it comes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

from bitloom.results import SampleRecord, Task
from eval_client.errors import RunStoppedError
from eval_client.run.journal import Journal
from eval_client.tasks.samples import Sample

Ask = Callable[[Sample], Awaitable[SampleRecord]]
IsAnswering = Callable[[], Awaitable[bool]]


class Progress(Protocol):
    """Where a run says how far it is."""

    def start(self, task: str, total: int, done: int) -> None:
        """A task begins, `done` of `total` from before."""
        ...

    def advance(self, task: str, *, is_failed: bool) -> None:
        """One more is done."""
        ...

    def note(self, text: str) -> None:
        """Something the reader of the results must know."""
        ...


class FailureBudget:
    """How many requests may fail: the share `rate` of `total`. Hopeless runs are not asked to their end."""

    HOPELESS = 10

    def __init__(self, total: int, rate: float) -> None:
        self._allowed = math.floor(total * rate)
        self._total = total
        self._failed: list[SampleRecord] = []

    def spend(self, record: SampleRecord) -> None:
        """Count a failed request. Raises RunStoppedError where going on cannot end well."""
        self._failed.append(record)
        if len(self._failed) > max(self._allowed, self.HOPELESS):
            self.check()

    def check(self) -> None:
        """Raise RunStoppedError, naming the first failure, where more failed than may."""
        if len(self._failed) > self._allowed:
            first = self._failed[0]
            raise RunStoppedError(
                f"{len(self._failed)} of {self._total} requests failed, {self._allowed} may; "
                f"the first is {first.sample_id}: {first.error}"
            )


async def run_quality(
    samples: Sequence[Sample],
    journal: Journal,
    ask: Ask,
    is_answering: IsAnswering,
    progress: Progress,
    *,
    concurrency: int,
    max_failure_rate: float,
) -> None:
    """Ask what the journal has no answer to; samples that failed before are asked again.

    Raises RunStoppedError, with everything so far in the journal, where the endpoint is gone or more
    requests fail than allowed.
    """
    answered = journal.answered
    for task, total, done in _counts(samples, answered):
        progress.start(task, total, done)
    pending = iter([sample for sample in samples if sample.sample_id not in answered])
    budget = FailureBudget(len(samples), max_failure_rate)

    async def work() -> None:
        for sample in pending:
            record = await ask(sample)
            journal.append(record)
            await journal.sync_if_due()
            progress.advance(sample.task, is_failed=record.state == "failed")
            if record.state == "failed":
                await _check_alive(record, is_answering)
                budget.spend(record)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    budget.check()


async def _check_alive(record: SampleRecord, is_answering: IsAnswering) -> None:
    if not await is_answering():
        raise RunStoppedError(
            f"the endpoint is gone: at {record.sample_id} it answered nothing any more ({record.error})"
        )


def _counts(samples: Sequence[Sample], answered: set[str]) -> Iterator[tuple[Task, int, int]]:
    for task in dict.fromkeys(sample.task for sample in samples):
        names = [sample.sample_id for sample in samples if sample.task == task]
        yield task, len(names), sum(name in answered for name in names)
