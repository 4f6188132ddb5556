"""What an experiment shows: each arm, its difference to control at all times, and the health of the split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.experiments.arm_statistics import ArmStatistics
from server.experiments.confidence import ALPHA, difference_interval, mean_interval
from server.experiments.experiment import Change, Experiment
from server.experiments.latency_sketch import LOG_RANGE, LatencySketch
from server.experiments.mismatch import ALPHA as MISMATCH_ALPHA
from server.experiments.mismatch import mismatch_p_value
from server.experiments.moments import Moments
from server.experiments.standing import Standing


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and the interval that holds it at all times at once; `value` is None of nothing."""

    count: int
    value: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Times in seconds, right to 2 %; None of nothing."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """An arm against control. Rates and feedback: arm minus control; times: ratio of geometric means.

    An interval that leaves out 0 (a ratio's: 1) is a difference, whenever one looks; 1 - confidence is the
    probability of ever being wrong, for each of the five by itself.
    """

    confidence: float
    error_rate: Estimate
    empty_rate: Estimate
    feedback: Estimate
    ttft_ratio: Estimate
    latency_ratio: Estimate


@dataclass(frozen=True, slots=True)
class ArmReport:
    """`share` is what the arm serves now. `against_control` is None for control itself."""

    variant: str
    is_control: bool
    weight: float
    share: float
    standing: Standing
    requests: int
    aborted: int
    refused: int
    errors: int
    error_rate: Estimate
    empty_rate: Estimate
    ttft_s: Quantiles
    latency_s: Quantiles
    prompt_tokens: int
    generated_tokens: int
    feedback: Estimate
    against_control: Difference | None


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Distinct units by arm against the shares they were dealt by; a mismatch means that some are lost."""

    units: int
    p_value: float
    threshold: float
    is_mismatch: bool


@dataclass(frozen=True, slots=True)
class PastChange:
    """A rollback, an advance of a ramp or a resumption; `at` is in Unix seconds."""

    at: float
    variant: str
    kind: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """GET /admin/experiments/NAME; `changes` are the latest, the newest first."""

    experiment: str
    salt: str
    control: str
    arms: tuple[ArmReport, ...]
    sample_ratio: SampleRatio
    changes: tuple[PastChange, ...]


def report(
    experiment: Experiment, feedback: Mapping[str, Moments], changes: Sequence[tuple[float, Change]]
) -> ExperimentReport:
    """Report of an experiment that nothing changes meanwhile; `feedback` is by arm."""
    route, plan = experiment.route, experiment.plan()
    p_value = mismatch_p_value(experiment.phases)
    arms = tuple(
        _arm(experiment, feedback, arm.variant, arm.weight, share)
        for arm, share in zip(route.arms, plan.served_shares, strict=True)
    )
    return ExperimentReport(
        experiment=route.name,
        salt=route.salt,
        control=route.control_arm,
        arms=arms,
        sample_ratio=SampleRatio(
            len(experiment.units), p_value, MISMATCH_ALPHA, is_mismatch=p_value < MISMATCH_ALPHA
        ),
        changes=tuple(
            PastChange(at, change.variant, change.kind, change.reason, change.detail)
            for at, change in changes
        ),
    )


def _arm(
    experiment: Experiment, feedback: Mapping[str, Moments], variant: str, weight: float, share: float
) -> ArmReport:
    control = experiment.route.control_arm
    statistics, scores = experiment.arms[variant], feedback.get(variant, Moments())
    against = None
    if variant != control:
        against = _difference(statistics, scores, experiment.arms[control], feedback.get(control, Moments()))
    return ArmReport(
        variant=variant,
        is_control=variant == control,
        weight=weight,
        share=share,
        standing=experiment.standings[variant],
        requests=statistics.requests,
        aborted=statistics.aborted,
        refused=statistics.refused,
        errors=round(statistics.errors.total),
        error_rate=_mean(statistics.errors),
        empty_rate=_mean(statistics.empty),
        ttft_s=_quantiles(statistics.ttft),
        latency_s=_quantiles(statistics.latency),
        prompt_tokens=statistics.prompt_tokens,
        generated_tokens=statistics.generated_tokens,
        feedback=_mean(scores),
        against_control=against,
    )


def _difference(
    arm: ArmStatistics, scores: Moments, control: ArmStatistics, control_scores: Moments
) -> Difference:
    return Difference(
        confidence=1 - ALPHA,
        error_rate=_minus(arm.errors, control.errors),
        empty_rate=_minus(arm.empty, control.empty),
        feedback=_minus(scores, control_scores),
        ttft_ratio=_ratio(arm.ttft.logs, control.ttft.logs),
        latency_ratio=_ratio(arm.latency.logs, control.latency.logs),
    )


def _mean(moments: Moments) -> Estimate:
    interval = mean_interval(moments)
    return Estimate(moments.count, moments.mean, interval.low, interval.high)


def _minus(arm: Moments, control: Moments) -> Estimate:
    interval = difference_interval(arm, control)
    one, other = arm.mean, control.mean
    value = None if one is None or other is None else one - other
    return Estimate(min(arm.count, control.count), value, interval.low, interval.high)


def _ratio(arm: Moments, control: Moments) -> Estimate:
    """Scaled logarithms are in [0, 1], so a difference of their means is a ratio of geometric means."""
    difference = _minus(arm, control)
    value = None if difference.value is None else math.exp(LOG_RANGE * difference.value)
    low, high = math.exp(LOG_RANGE * difference.low), math.exp(LOG_RANGE * difference.high)
    return Estimate(difference.count, value, low, high)


def _quantiles(sketch: LatencySketch) -> Quantiles:
    return Quantiles(sketch.logs.count, sketch.quantile(0.5), sketch.quantile(0.9), sketch.quantile(0.99))
