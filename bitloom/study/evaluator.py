"""What runs a grid's plans: the seam between the study and whatever measures a plan, live or built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bitloom.plan import Plan


@dataclass(frozen=True, slots=True)
class ScoreEstimate:
    """A task's score and its standard error over the samples (clustered by image)."""

    value: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class PlanResult:
    """A measured plan: scores by name, its size, and how long measuring took.

    `bpw` counts scales and zero points, `bpw_paper` is the mean of nominal bits (see `bitloom.variant`).
    """

    scores: Mapping[str, ScoreEstimate]
    stored_bytes: int
    bpw: float
    bpw_paper: float
    seconds: float


class Evaluator(Protocol):
    """Measures plans of one base checkpoint, one at a time."""

    def evaluate(self, plan: Plan) -> PlanResult:
        """Measure a plan; raises BitloomError where it cannot be, which becomes a failed row."""
        ...
