"""What a search found, as `bitloom study search --json` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bitloom.errors import DataError, InputError
from bitloom.schema import Schema
from bitloom.study.observations import Floats
from bitloom.study.search.goal import Z95
from bitloom.study.search.loop import Lookup, Outcome
from bitloom.study.search.pool import Indices, Pool


class PlanReport(Schema):
    """One measured plan. `predicted` is what the model said before, None for the starting plans."""

    values: dict[str, float]
    size: float
    score: float
    standard_error: float
    predicted: float | None
    predicted_deviation: float | None


class FrontPoint(Schema):
    """A plan that no smaller plan is believed to match; `score` is believed, with its 95 % interval."""

    values: dict[str, float]
    size: float
    score: float
    low: float
    high: float
    is_measured: bool


class Accuracy(Schema):
    """How far predictions were from the measurements that followed; `within_95` is a share of `count`."""

    count: int
    mean_absolute_error: float
    mean_error: float
    within_95: float


class HeldOutScore(Schema):
    """A built variant's score on samples that the search never saw, with its 95 % interval where known."""

    value: float
    low: float | None
    high: float | None


class FinalistReport(Schema):
    """A finalist that was built and served: `score` and `size` as searched, the rest as measured.

    `first_token_s` and `request_s` are medians with one request at a time.
    """

    name: str
    values: dict[str, float]
    score: float
    size: float
    stored_bytes: int
    held_out: dict[str, HeldOutScore]
    first_token_s: float | None
    request_s: float | None
    peak_resident_bytes: int | None


UNIFORM = "uniform"


class ComparedPlan(Schema):
    """A plan on samples that the search never saw: what it keeps of the base, with its 95 % interval.

    `lead` is how much more the recommended plan keeps, paired by sample; None for the recommended itself.
    """

    name: str
    values: dict[str, float]
    size: float
    kept: HeldOutScore
    lead: HeldOutScore | None


class SearchReport(Schema):
    """The recommended plan, everything looked up in order, and the whole front. Sizes are in `size_unit`.

    `sensitivities` are the additive model's losses by part and bits, from the calibration pass; `methods` the
    method that stands for each. `compared`, on held-out samples: the finalists, the recommended first; the
    uniform plans next to it in size (`uniform-BITS`); the base last. `finalists` follow once they are built.
    `regret` is known only when a measured grid was the oracle: how much better the best plan allowed was (in
    score under a budget, in size above a floor).
    """

    file_error: ClassVar[type[InputError]] = DataError

    schema_version: Literal[1] = 1
    score: str
    size_unit: str
    goal: str
    stopped: str
    best: PlanReport
    lookups: tuple[PlanReport, ...]
    accuracy: Accuracy | None
    front: tuple[FrontPoint, ...]
    sensitivities: dict[str, dict[int, float]] = Field(default_factory=dict)
    methods: dict[str, dict[int, str]] = Field(default_factory=dict)
    compared: tuple[ComparedPlan, ...] = ()
    finalists: tuple[FinalistReport, ...] = ()
    regret: float | None = None


def report_of(
    outcome: Outcome, pool: Pool, *, score: str, size_unit: str, goal: str, regret: float | None = None
) -> SearchReport:
    """The report of a finished search."""
    return SearchReport(
        score=score,
        size_unit=size_unit,
        goal=goal,
        stopped=outcome.stopped,
        best=_plan(outcome.best, pool),
        lookups=tuple(_plan(lookup, pool) for lookup in outcome.lookups),
        accuracy=accuracy_of(outcome.lookups),
        front=tuple(_front(outcome, pool)),
        regret=regret,
    )


def accuracy_of(lookups: Sequence[Lookup]) -> Accuracy | None:
    """Errors of the predictions made before measuring; None where nothing was predicted."""
    errors, inside = [], []
    for lookup in lookups:
        if lookup.predicted is None or lookup.deviation is None:
            continue
        error = lookup.measurement.score - lookup.predicted
        errors.append(error)
        inside.append(abs(error) <= Z95 * np.hypot(lookup.deviation, lookup.measurement.standard_error))
    if not errors:
        return None
    return Accuracy(
        count=len(errors),
        mean_absolute_error=float(np.mean(np.abs(errors))),
        mean_error=float(np.mean(errors)),
        within_95=float(np.mean(inside)),
    )


def pareto(sizes: Floats, scores: Floats) -> Indices:
    """Indices of the plans that no plan of at most their size matches or beats, smallest first."""
    order = np.lexsort((-scores, sizes))
    best_before = np.maximum.accumulate(np.concatenate(([-np.inf], scores[order][:-1])))
    return np.asarray(order[scores[order] > best_before], dtype=np.int64)


def _front(outcome: Outcome, pool: Pool) -> list[FrontPoint]:
    means, deviations = outcome.belief.mean, outcome.belief.deviation
    measured = {lookup.index for lookup in outcome.lookups}
    return [
        FrontPoint(
            values=dict(pool.point(int(index)).values),
            size=float(pool.sizes[index]),
            score=float(means[index]),
            low=float(means[index] - Z95 * deviations[index]),
            high=float(means[index] + Z95 * deviations[index]),
            is_measured=int(index) in measured,
        )
        for index in pareto(pool.sizes, means)
    ]


def _plan(lookup: Lookup, pool: Pool) -> PlanReport:
    point = pool.point(lookup.index)
    return PlanReport(
        values=dict(point.values),
        size=point.size,
        score=lookup.measurement.score,
        standard_error=lookup.measurement.standard_error,
        predicted=lookup.predicted,
        predicted_deviation=lookup.deviation,
    )
