"""Two models of one endpoint, from settings to two results directories that can be compared."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import aiohttp

from bitloom.results import MEMORY_NAME, SampleRecord
from eval_client.ab.arm import Arm, Measured, make_directory, plan_arm
from eval_client.ab.quality import AskedArm, ask_both
from eval_client.ab.timed import TimedArm, time_both
from eval_client.compare.pairing import check_plans
from eval_client.config import RunConfig
from eval_client.endpoint import ChatClient, is_answering, normalise_endpoint, open_client, open_session
from eval_client.errors import RunStoppedError
from eval_client.images import ImageCache
from eval_client.memory import sampling
from eval_client.run.ask import RetryPolicy, ask
from eval_client.run.directory import finished_run, journal_path
from eval_client.run.evaluation import IMAGES_KEPT
from eval_client.run.journal import Journal
from eval_client.run.quality import FailureBudget, Progress
from eval_client.slo import parse_slo
from eval_client.tasks.samples import Sample

Arms = tuple[Arm, Arm]
Journals = tuple[Journal, Journal]
A, B = "a", "b"


async def run_ab(
    config: RunConfig, model_b: str, out: Path, progress: Progress, *, key: str | None = None
) -> tuple[Path, Path]:
    """Ask `config.model` and `model_b` the same at once; return their results directories, `out`/a and /b.

    What was interrupted there is resumed: no answer is asked for twice, and the timed passes, which are only
    worth something whole, are made anew.

    Raises InputError (settings, data, models that would be asked different things, `out` of another run) and
    EndpointError (nothing answers, the endpoint is gone in the middle, too many requests of an arm failed).
    """
    endpoint = normalise_endpoint(config.endpoint)
    rival = config.model_copy(update={"model": model_b})
    limits = {"timeout_s": config.timeout_s, "stall_s": config.stall_s}
    async with (
        open_session(config.concurrency, key) as session,
        open_client(session, endpoint, **limits) as client,
    ):
        arms = (
            await plan_arm(A, config, out, session, client),
            await plan_arm(B, rival, out, session, client),
        )
        check_plans(arms[0].out, arms[0].planned.plan, arms[1].out, arms[1].planned.plan)
        with ExitStack() as stack:
            for arm in arms:
                make_directory(arm)
            journals = tuple(stack.enter_context(Journal(journal_path(arm.out))) for arm in arms)
            if not _is_finished(arms):
                await _Experiment(session, client, arms, (journals[0], journals[1]), progress).run()
    return arms[0].out, arms[1].out


def _is_finished(arms: Arms) -> bool:
    """Whether both arms ended, and at once."""
    a, b = (finished_run(arm.out) for arm in arms)
    return a is not None and b is not None and a.interleaved == b.interleaved


class _Experiment:
    """Two planned arms against an open endpoint."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        client: ChatClient,
        arms: Arms,
        journals: Journals,
        progress: Progress,
    ) -> None:
        self._session = session
        self._client = client
        self._arms = arms
        self._journals = journals
        self._progress = progress
        self._config = arms[0].config
        self._images = ImageCache(IMAGES_KEPT)

    async def run(self) -> None:
        """Quality pass, timed passes, with memory sampled during both; then both directories' ends."""
        first, second = self._arms
        paths = [arm.out / MEMORY_NAME for arm in self._arms]
        async with (
            sampling(first.source, paths[0]) as asking_a,
            sampling(second.source, paths[1]) as asking_b,
        ):
            await self._ask_all()
        async with (
            sampling(first.source, paths[0]) as timing_a,
            sampling(second.source, paths[1]) as timing_b,
        ):
            timed = await self._time()
        memory = asking_a + timing_a, asking_b + timing_b
        interleaved = secrets.token_hex(8)
        for place, arm in enumerate(self._arms):
            own = timed[place]
            measured = Measured(own.records, own.figures, memory[place], interleaved)
            known = self._journals[place].records
            records = [known[sample.sample_id] for sample in arm.planned.samples]
            arm.conclude(records, measured, self._arms[1 - place].config.model)

    async def _ask_all(self) -> None:
        config = self._config
        asked = [self._asked(place) for place in range(len(self._arms))]
        try:
            await ask_both(
                (asked[0], asked[1]),
                partial(is_answering, self._session, normalise_endpoint(config.endpoint)),
                self._progress,
                concurrency=config.concurrency,
                seed=config.seed,
            )
        except RunStoppedError as exc:
            kept = sum(len(journal.answered) for journal in self._journals)
            raise RunStoppedError(
                f"{exc}. {kept} answers are kept: run the same command again to resume"
            ) from exc

    def _asked(self, place: int) -> AskedArm:
        arm, config = self._arms[place], self._config
        policy = RetryPolicy(config.retries, config.backoff_s)

        async def ask_one(sample: Sample) -> SampleRecord:
            image = self._images.read(sample.image)
            return await ask(self._client, sample, arm.config.model, policy, image)

        samples = arm.planned.samples
        budget = FailureBudget(len(samples), config.max_failure_rate)
        return AskedArm(arm.name.upper(), samples, self._journals[place], ask_one, budget)

    async def _time(self) -> tuple[TimedArm, TimedArm]:
        config = self._config
        return await time_both(
            self._client,
            (self._arms[0].config.model, self._arms[1].config.model),
            self._arms[0].planned.timed,
            self._progress,
            sequential=config.timed_sequential,
            loaded=config.timed_loaded,
            load=config.load,
            slo=parse_slo(config.slo),
        )
