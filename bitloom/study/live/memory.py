"""An evaluator that writes down what it measured, so that a search that was cut off costs nothing twice."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from bitloom.errors import WorkerError
from bitloom.plan import Plan
from bitloom.study.evaluator import Evaluator, PlanResult, ScoreEstimate
from bitloom.study.grid_expansion import GridEntry
from bitloom.study.table import Columns, ResultsTable

logger = logging.getLogger(__name__)


class RememberingEvaluator:
    """Answers from the table in `directory` where it can, and appends what it has to measure.

    A plan whose engine died is measured once more, by the next engine.
    """

    def __init__(self, evaluator: Evaluator, directory: Path, scores: Sequence[str]) -> None:
        self._evaluator = evaluator
        self._table = ResultsTable.open(directory, Columns((), tuple(scores)))

    def evaluate(self, plan: Plan) -> PlanResult:
        """As the evaluator within; raises what it raises, for a dead engine the second time."""
        known = self._table.rows.get(plan.hash)
        if known is not None and known["state"] == "measured":
            return self._remembered(known)
        try:
            result = self._evaluator.evaluate(plan)
        except WorkerError as exc:
            logger.warning("%s: %s; tried once more", plan.name, exc)
            result = self._evaluator.evaluate(plan)
        self._table.add_measured(GridEntry(plan), result)
        return result

    def _remembered(self, row: dict[str, str]) -> PlanResult:
        scores = {
            name: ScoreEstimate(float(row[name]), float(row[f"{name}_se"]))
            for name in self._table.columns.scores
        }
        return PlanResult(
            scores=scores,
            stored_bytes=int(row["bytes"]),
            bpw=float(row["bpw"]),
            bpw_paper=float(row["bpw_paper"]),
            seconds=float(row["seconds"]),
        )
