"""Measuring a plan: swap what changes, ask all samples, score; a dead engine is replaced."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from bitloom.errors import WorkerError
from bitloom.plan import Plan
from bitloom.results import SampleScore
from bitloom.study.evaluator import PlanResult, ScoreEstimate
from bitloom.study.live.engine import EngineProcess
from bitloom.study.live.rooms import Assembly, Examination

logger = logging.getLogger(__name__)


class LiveEvaluator:
    """An `Evaluator` with an engine of its own, started at the first plan and again after a death.

    With a `base` its results also have the shares that plans keep of the base's scores, sample by sample; the
    base is asked before the first plan.
    """

    def __init__(
        self,
        assembly: Assembly,
        examination: Examination,
        start: Callable[[], EngineProcess] | None = None,
        base: Plan | None = None,
    ) -> None:
        self._assembly = assembly
        self._examination = examination
        self._base = base
        self._base_scores: Sequence[SampleScore] | None = None
        self._start = start or (lambda: EngineProcess(assembly.model))
        self._engine: EngineProcess | None = None
        self._plan: Plan | None = None

    def evaluate(self, plan: Plan) -> PlanResult:
        """Measure a plan; PlanError where it does not fit, WorkerError where the engine fails."""
        footprint = self._assembly.footprint(plan)
        started = time.monotonic()
        base = self._scores_of_base()
        scores = self._examination.score(self.answers(plan), base)
        return PlanResult(
            scores={name: ScoreEstimate(each.value, each.standard_error) for name, each in scores.items()},
            stored_bytes=footprint.stored_bytes,
            bpw=footprint.bpw,
            bpw_paper=footprint.bpw_paper,
            seconds=time.monotonic() - started,
        )

    def answers(self, plan: Plan) -> list[dict[str, Any]]:
        """Answers of all samples under a plan. Raises WorkerError; the next call starts a new engine."""
        engine = self._running()
        try:
            count = self._assembly.write_changes(engine.swap_file, plan, self._plan)
            # Until it has answered, nobody knows which weights the engine holds.
            self._plan = None
            swapped_s = engine.swap(engine.swap_file)
            logger.debug("%s: %d tensors in %.3f s", plan.name, count, swapped_s)
            answers = engine.answer()
        except WorkerError:
            self.close()
            raise
        self._plan = plan
        return answers

    @property
    def score_names(self) -> tuple[str, ...]:
        """Names of the scores in its results."""
        names = self._examination.score_names
        return names if self._base is None else (*names, *self._examination.share_names)

    def close(self) -> None:
        """End the engine."""
        if self._engine is not None:
            self._engine.close()
        self._engine, self._plan = None, None

    def _scores_of_base(self) -> Sequence[SampleScore] | None:
        if self._base is not None and self._base_scores is None:
            self._base_scores = self._examination.judge(self.answers(self._base))
        return self._base_scores

    def _running(self) -> EngineProcess:
        if self._engine is None:
            self._engine, self._plan = self._start(), None
            self._engine.ask(self._examination.requests())
        return self._engine
