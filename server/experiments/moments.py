"""Running sums of a bounded outcome, as an empirical-Bernstein confidence sequence needs them.

The variance proxy V is the sum of (x_i - m_i)^2 with m_i the mean of the outcomes *before* x_i (1/2 for the
first), so it is known before the next outcome comes: Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform,
nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49(2), 2021, Theorem 4.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Moments:
    """Count, sum and variance proxy of outcomes in [0, 1], in constant memory."""

    count: int = 0
    total: float = 0.0
    variance_sum: float = 0.0

    @property
    def mean(self) -> float | None:
        """Mean, None of nothing."""
        return self.total / self.count if self.count else None

    def add(self, outcome: float) -> None:
        """Take in the next outcome, in [0, 1]."""
        predicted = self.total / self.count if self.count else 0.5
        self.variance_sum += (outcome - predicted) ** 2
        self.count += 1
        self.total += outcome
