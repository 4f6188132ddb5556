"""The quality pass of two arms: every sample is asked of both, one right after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from bitloom.results import SampleRecord
from eval_client.ab.order import interleaved
from eval_client.errors import RunStoppedError
from eval_client.run.journal import Journal
from eval_client.run.quality import FailureBudget, Progress
from eval_client.tasks.samples import Sample

Ask = Callable[[Sample], Awaitable[SampleRecord]]


@dataclass(frozen=True, slots=True)
class AskedArm:
    """One arm's samples, where its answers are kept, and how it is asked."""

    name: str
    samples: Sequence[Sample]
    journal: Journal
    ask: Ask
    budget: FailureBudget


async def ask_both(
    arms: tuple[AskedArm, AskedArm],
    is_answering: Callable[[], Awaitable[bool]],
    progress: Progress,
    *,
    concurrency: int,
    seed: int,
) -> None:
    """Ask what the journals have no answer to, `concurrency` requests of both arms at a time.

    Raises RunStoppedError, with everything so far in the journals, where the endpoint is gone or more
    requests of an arm fail than may.
    """
    turns = _turns(arms, progress, seed)

    async def work() -> None:
        for arm, sample in turns:
            record = await arm.ask(sample)
            arm.journal.append(record)
            await arm.journal.sync_if_due()
            is_failed = record.state == "failed"
            progress.advance(_bar(arm, sample), is_failed=is_failed)
            if is_failed and not await is_answering():
                raise RunStoppedError(
                    f"the endpoint is gone: at {record.sample_id} it answered nothing any more "
                    f"({record.error})"
                )
            if is_failed:
                arm.budget.spend(record)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    for arm in arms:
        arm.budget.check()


def _turns(
    arms: tuple[AskedArm, AskedArm], progress: Progress, seed: int
) -> Iterator[tuple[AskedArm, Sample]]:
    """What is still to be asked, in order; every bar is started first."""
    answered = [arm.journal.answered for arm in arms]
    for arm, known in zip(arms, answered, strict=True):
        for bar in dict.fromkeys(_bar(arm, sample) for sample in arm.samples):
            own = [sample for sample in arm.samples if _bar(arm, sample) == bar]
            progress.start(bar, len(own), sum(sample.sample_id in known for sample in own))
    pairs = interleaved(arms[0].samples, arms[1].samples, seed=seed)
    return iter([(arms[place], sample) for place, sample in pairs if sample.sample_id not in answered[place]])


def _bar(arm: AskedArm, sample: Sample) -> str:
    return f"{arm.name} {sample.task}"
