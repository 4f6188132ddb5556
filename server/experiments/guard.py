"""Guardrails: what an arm did lately, judged against fixed limits and against control."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from server.experiments.config import GuardrailConfig
from server.experiments.outcome import Outcome

# Answers kept for one arm: enough for any quantile, whatever the traffic.
MAX_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Breach:
    """The limit that was passed (a field of GuardrailConfig) and the figures."""

    reason: str
    detail: str


@dataclass(slots=True)
class Window:
    """Judged answers of one arm, the oldest first, each with its time of arrival in seconds of any clock."""

    kept: deque[tuple[float, Outcome]] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))

    def add(self, now: float, outcome: Outcome) -> None:
        """Take in an answer; what the client took back, or was at fault for, says nothing of the arm."""
        if outcome.is_complete or outcome.is_error:
            self.kept.append((now, outcome))

    def since(self, start: float) -> list[Outcome]:
        """Answers that came at or after `start`; older ones are forgotten."""
        while self.kept and self.kept[0][0] < start:
            self.kept.popleft()
        return [outcome for _, outcome in self.kept]


def find_breach(config: GuardrailConfig, arm: Sequence[Outcome], control: Sequence[Outcome]) -> Breach | None:
    """The first limit that the arm's answers pass, None where they pass none or are too few."""
    whole, control_whole = _whole(arm), _whole(control)
    return (
        _rate(config, "error_rate", [outcome.is_error for outcome in arm])
        or _rate(config, "empty_rate", [outcome.is_empty for outcome in whole])
        or _ratio(config, "ttft_ratio", _ttfts(whole), _ttfts(control_whole))
        or _ratio(
            config,
            "latency_ratio",
            [outcome.latency_s for outcome in whole],
            [outcome.latency_s for outcome in control_whole],
        )
    )


def _whole(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if not outcome.is_error]


def _ttfts(outcomes: Sequence[Outcome]) -> list[float]:
    return [outcome.ttft_s for outcome in outcomes if outcome.ttft_s is not None]


def _rate(config: GuardrailConfig, reason: str, hits: Sequence[bool]) -> Breach | None:
    limit: float | None = getattr(config, reason)
    if limit is None or len(hits) < config.min_requests:
        return None
    share = sum(hits) / len(hits)
    if share <= limit:
        return None
    return Breach(reason, f"{sum(hits)} of {len(hits)} answers, {share:.4f} > {limit:g}")


def _ratio(
    config: GuardrailConfig, reason: str, arm: Sequence[float], control: Sequence[float]
) -> Breach | None:
    limit: float | None = getattr(config, reason)
    if limit is None or min(len(arm), len(control)) < config.min_requests:
        return None
    ours, theirs = _quantile(arm, config.quantile), _quantile(control, config.quantile)
    if ours <= limit * theirs:
        return None
    return Breach(
        reason,
        f"quantile {config.quantile:g} is {ours:.4f} s, control's {theirs:.4f} s: "
        f"{ours / theirs if theirs else math.inf:.3f} > {limit:g} over {len(arm)} and {len(control)} answers",
    )


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
