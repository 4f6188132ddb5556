"""The search: a few plans from the additive model, then the plan that promises most, until none does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bitloom.errors import InputError
from bitloom.study.observations import Floats
from bitloom.study.search.design import prior_losses
from bitloom.study.search.goal import Goal
from bitloom.study.search.oracle import Measurement, Oracle
from bitloom.study.search.pool import Indices, Pool
from bitloom.study.search.surrogate import Belief, Surrogate

logger = logging.getLogger(__name__)

SPENT, CERTAIN, EXHAUSTED = "look-ups spent", "the best's interval excludes the rest", "every plan measured"


@dataclass(frozen=True, slots=True)
class Lookup:
    """One measured plan: its index in the pool, and what was predicted of it before (None at the start)."""

    index: int
    measurement: Measurement
    predicted: float | None
    deviation: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished search: look-ups in order, the best of them, why it stopped, and the last belief."""

    lookups: tuple[Lookup, ...]
    best: Lookup
    stopped: str
    belief: Belief


@dataclass(slots=True)
class _Trail:
    lookups: list[Lookup] = field(default_factory=list)

    @property
    def indices(self) -> Indices:
        return np.array([lookup.index for lookup in self.lookups], dtype=np.int64)

    @property
    def scores(self) -> Floats:
        return np.array([lookup.measurement.score for lookup in self.lookups])

    @property
    def errors(self) -> Floats:
        return np.array([lookup.measurement.standard_error for lookup in self.lookups])


def search(
    oracle: Oracle,
    pool: Pool,
    goal: Goal,
    *,
    lookups: int,
    seed: int = 0,
    losses: Sequence[Floats] | None = None,
    measured: Sequence[Lookup] = (),
) -> Outcome:
    """Search `pool` for `goal` with at most `lookups` measurements, those of `measured` included.

    `losses` are the additive model's, by feature and level, where a calibration pass gave them.
    `measured` are look-ups already paid for (a resumed search, a reference). Raises InputError where the
    goal allows no plan, or fewer than two look-ups are given.
    """
    if lookups < 2:
        raise InputError(f"{lookups} look-ups are too few to compare plans; allow at least 2")
    generator = np.random.default_rng(seed)
    allowed = np.flatnonzero(goal.allowed(pool))
    trail = _Trail(list(measured))
    losses = prior_losses(pool) if losses is None else losses
    starts = max(0, min(len(pool.features) + 1, lookups - len(trail.lookups)))
    for index in goal.starts(pool, losses, starts, generator):
        if index not in trail.indices:
            trail.lookups.append(Lookup(index, oracle.evaluate(pool.point(index)), None, None))
    return _refine(oracle, pool, goal, trail, allowed, lookups, Surrogate(pool, losses))


def _refine(
    oracle: Oracle,
    pool: Pool,
    goal: Goal,
    trail: _Trail,
    allowed: Indices,
    lookups: int,
    surrogate: Surrogate,
) -> Outcome:
    while True:
        belief = surrogate.learn(trail.indices, trail.scores, trail.errors)
        best = _best(pool, goal, trail, allowed, belief)
        rest = np.setdiff1d(allowed, trail.indices)
        stopped = _reason_to_stop(pool, goal, belief, best, rest, len(trail.lookups) >= lookups)
        if stopped:
            return Outcome(tuple(trail.lookups), best, stopped, belief)
        index = int(rest[np.argmax(goal.gain(pool, belief, best.index)[rest])])
        predicted, deviation = float(belief.mean[index]), float(belief.deviation[index])
        measurement = oracle.evaluate(pool.point(index))
        logger.debug("plan %d: predicted %.4g, measured %.4g", index, predicted, measurement.score)
        trail.lookups.append(Lookup(index, measurement, predicted, deviation))


def _best(pool: Pool, goal: Goal, trail: _Trail, allowed: Indices, belief: Belief) -> Lookup:
    candidates = [lookup for lookup in trail.lookups if lookup.index in allowed]
    indices = np.array([lookup.index for lookup in candidates], dtype=np.int64)
    return candidates[goal.best(pool, indices, belief.mean[indices])]


def _reason_to_stop(
    pool: Pool, goal: Goal, belief: Belief, best: Lookup, rest: Indices, is_spent: bool
) -> str | None:
    if len(rest) == 0:
        return EXHAUSTED
    if goal.excludes(pool, belief, best.index, rest):
        return CERTAIN
    return SPENT if is_spent else None
