"""What a search asks: the score of one plan. A results file answers from its rows, an engine by running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bitloom.study.observations import Observations
from bitloom.study.search.pool import Point


@dataclass(frozen=True, slots=True)
class Measurement:
    """A plan's score, higher is better, and its standard error: 0 where the score itself is what counts."""

    score: float
    standard_error: float = 0.0


class Oracle(Protocol):
    """Measures plans. One call is one look-up, which is what a search has to be sparing with."""

    def evaluate(self, point: Point) -> Measurement:
        """Measure a plan; raises BitloomError where it cannot be measured."""
        ...


class GridOracle:
    """Answers from a measured grid, whose scores count as the truth of its plans: no standard error."""

    def __init__(self, observations: Observations) -> None:
        self._features = observations.features
        self._scores = {
            tuple(values): score
            for values, score in zip(observations.values.tolist(), observations.scores.tolist(), strict=True)
        }

    def evaluate(self, point: Point) -> Measurement:
        """The score of the grid's row; KeyError for a plan that the grid does not hold."""
        return Measurement(self._scores[tuple(point.values[name] for name in self._features)])
