"""An evaluator for actors of a Ray cluster, in a module that needs nothing but Bitloom."""

from __future__ import annotations

import os

from bitloom.errors import PlanError
from bitloom.plan import Plan
from bitloom.study.evaluator import PlanResult, ScoreEstimate


class FixedEvaluator:
    """Scores a plan by its bits; 3 bits end the process, 5 do not fit. Its bytes are the process id."""

    def evaluate(self, plan: Plan) -> PlanResult:
        """The plan's result, or what it ends in."""
        bits = plan.rules[0].bits or 16
        if bits == 3:
            os._exit(1)
        if bits == 5:
            raise PlanError("it does not fit")
        return PlanResult({"CIDEr": ScoreEstimate(bits / 10, 0.1)}, os.getpid(), bits, bits, 0.1)
