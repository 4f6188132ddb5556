"""Runs the experiments of a gateway: outcomes in, judgements out, all of it on the disk.

A request costs one append. Every `TICK_S` the outcomes are counted and the arms judged on the event loop;
SQLite has a thread of its own. A rollback takes effect before it is written: where the disk fails, arms are
still rolled back, and the write is tried again until it succeeds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TypeVar

from server.experiments.assignment import ArmPlan
from server.experiments.config import RouteConfig
from server.experiments.errors import StateError
from server.experiments.experiment import Change, Experiment
from server.experiments.guard import Breach
from server.experiments.outcome import Outcome
from server.experiments.report import ExperimentReport, report
from server.experiments.store import ExperimentRow, Store, Target
from server.metrics import Metrics

logger = logging.getLogger(__name__)

TICK_S = 0.25
# Outcomes that wait for a disk that does not take them; the oldest are given up beyond.
MAX_WAITING = 100_000
COMPLAIN_EVERY_S = 60.0
SHOWN_CHANGES = 50
Result = TypeVar("Result")


class ExperimentDesk:
    """Built and closed in the event loop; `apply` puts a plan into force."""

    def __init__(
        self,
        state_dir: Path | None,
        metrics: Metrics,
        apply: Callable[[ArmPlan], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the state; raise StateError where it cannot be used."""
        self._store = None if state_dir is None else Store(state_dir)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._metrics = metrics
        self._apply = apply
        self._clock = clock
        self._experiments: dict[str, Experiment] = {}
        self._arrived: list[Outcome] = []
        self._unsaved: list[Outcome] = []
        self._changes: list[tuple[Experiment, float, Change]] = []
        self._dirty: set[str] = set()
        self._saving = asyncio.Lock()
        self._complained_at = -COMPLAIN_EVERY_S

    @property
    def experiments(self) -> dict[str, Experiment]:
        """Experiments by route, with everything that has arrived counted."""
        self._count()
        return self._experiments

    @property
    def keeps_state(self) -> bool:
        """Whether there is a state directory."""
        return self._store is not None

    async def prepare(self, routes: Sequence[RouteConfig]) -> dict[str, Experiment]:
        """Read what is kept of the routes that do not run yet, for `begin`; raise StateError."""
        await self.save()
        store, now = self._store, self._clock()
        if store is None:
            return {}
        new = [route for route in routes if not self._is_running(route)]
        return {route.name: await self.on_thread(partial(store.load, route, now)) for route in new}

    def begin(self, routes: Sequence[RouteConfig], prepared: Mapping[str, Experiment] | None = None) -> None:
        """Take up the routes, with what is kept of each: what was `prepared`, else read now, at the start.

        Raises StateError.
        """
        self._count()
        now = self._clock()
        self._experiments = {route.name: self._take_up(route, now, prepared or {}) for route in routes}
        taken = self._experiments
        self._metrics.arm_weight.clear()
        self._dirty = set(taken)
        for experiment in taken.values():
            self._put_in_force(experiment)

    def record(self, outcome: Outcome) -> None:
        """Take in how a request ended."""
        self._arrived.append(outcome)

    async def run(self) -> None:
        """Count, judge and save until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self.judge()
            await self.try_to_save()

    def judge(self) -> None:
        """Count what arrived and act on it."""
        self._count()
        now = self._clock()
        for experiment in self._experiments.values():
            for change in experiment.judge(now):
                self._act(experiment, change, now)

    def roll_back(self, name: str, variant: str) -> None:
        """Give an arm's traffic to control because an operator says so."""
        now = self._clock()
        experiment = self._experiments[name]
        self._act(experiment, experiment.roll_back(variant, Breach("operator", ""), now), now)

    def resume(self, name: str, variant: str) -> None:
        """Give a rolled-back arm its traffic again, from the start of its ramp."""
        now = self._clock()
        experiment = self._experiments[name]
        self._act(experiment, experiment.resume(variant, now), now)

    async def save(self) -> None:
        """Write everything that is not written yet; raise StateError where that fails, losing nothing."""
        async with self._saving:
            self._count()
            if self._store is None:
                self._unsaved.clear()
                self._changes.clear()
                return
            if not (self._unsaved or self._changes or self._dirty):
                return
            await self._save(self._store)

    async def try_to_save(self) -> None:
        """Save; where that fails, say so now and then and try again at the next tick."""
        try:
            await self.save()
        except StateError as exc:
            if self._clock() - self._complained_at >= COMPLAIN_EVERY_S:
                self._complained_at = self._clock()
                logger.critical("%s; rollbacks hold until a restart, and saving is tried again", exc)

    async def add_feedback(
        self, request_id: str, score: float, comment: str | None, key_id: str | None
    ) -> Target:
        """Keep feedback on the disk; raise UnknownRequest or StateError."""
        await self.save()
        store, at = self._opened(), self._clock()
        target = await self.on_thread(lambda: store.add_feedback(request_id, score, comment, key_id, at))
        self._metrics.feedback.labels(target.name, target.variant).inc()
        self._metrics.feedback_scores.labels(target.name, target.variant).observe(score)
        return target

    async def report(self, name: str) -> ExperimentReport:
        """How an experiment stands, with what is kept of its feedback and changes; raise StateError."""
        await self.save()
        seen, store = deepcopy(self._experiments[name]), self._store
        salt = seen.route.salt

        def write() -> ExperimentReport:
            if store is None:
                return report(seen, {}, ())
            return report(seen, store.feedback(name, salt), store.changes(name, salt, SHOWN_CHANGES))

        return await self.on_thread(write)

    async def on_thread(self, work: Callable[[], Result]) -> Result:
        """Run what touches the store, or takes long, on the store's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @property
    def store(self) -> Store | None:
        """The state, to be used on its thread; None without a state directory."""
        return self._store

    async def close(self) -> None:
        """Save and close; what cannot be saved is logged."""
        try:
            await self.save()
        except StateError as exc:
            logger.critical("%s; what happened since the last save is lost", exc)
        self._thread.shutdown()
        if self._store is not None:
            self._store.close()

    def _opened(self) -> Store:
        if self._store is None:
            raise StateError("no state is kept; give the server a state_dir")
        return self._store

    def _is_running(self, route: RouteConfig) -> bool:
        running = self._experiments.get(route.name)
        return running is not None and running.route.salt == route.salt

    def _take_up(self, route: RouteConfig, now: float, prepared: Mapping[str, Experiment]) -> Experiment:
        if self._is_running(route):
            return self._experiments[route.name].continued(route, now)
        if route.name in prepared:
            return prepared[route.name]
        return Experiment.begin(route, now) if self._store is None else self._store.load(route, now)

    def _count(self) -> None:
        arrived, self._arrived = self._arrived, []
        now = self._clock()
        for outcome in arrived:
            experiment = self._experiments.get(outcome.assignment.route)
            if experiment is not None:
                experiment.record(outcome, now)
                self._dirty.add(outcome.assignment.route)
        if self._store is not None:
            self._unsaved.extend(arrived)
            del self._unsaved[:-MAX_WAITING]

    def _act(self, experiment: Experiment, change: Change, now: float) -> None:
        name = experiment.route.name
        self._changes.append((experiment, now, change))
        self._dirty.add(name)
        self._put_in_force(experiment)
        level = logging.WARNING if change.kind == "rollback" else logging.INFO
        fields = {"experiment": name, "variant": change.variant, "reason": change.reason}
        logger.log(level, "experiment %s: %s of %s (%s) %s", name, change.kind, change.variant, change.reason,
                   change.detail, extra=fields)  # fmt: skip
        if change.kind == "rollback":
            self._metrics.rollbacks.labels(change.reason).inc()

    def _put_in_force(self, experiment: Experiment) -> None:
        plan = experiment.plan()
        self._apply(plan)
        for arm, share in zip(plan.route.arms, plan.served_shares, strict=True):
            self._metrics.arm_weight.labels(plan.route.name, arm.variant).set(share)

    async def _save(self, store: Store) -> None:
        dirty, self._dirty = self._dirty, set()
        outcomes, changes = [*self._unsaved], [*self._changes]
        rows = {
            name: ExperimentRow.of(self._experiments[name]) for name in dirty if name in self._experiments
        }
        written = [(ExperimentRow.of(experiment), at, change) for experiment, at, change in changes]
        try:
            await self.on_thread(lambda: store.save([*rows.values()], outcomes, written))
        except StateError:
            self._dirty |= dirty
            raise
        del self._unsaved[: len(outcomes)]
        del self._changes[: len(changes)]
        for name, row in rows.items():
            if name in self._experiments:
                del self._experiments[name].new_units[: len(row.units)]
