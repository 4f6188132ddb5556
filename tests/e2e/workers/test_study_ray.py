"""A grid on a local Ray cluster: actors in processes of their own, and plans that are tried elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bitloom.errors import PlanError, WorkerError
from bitloom.plan import Plan, Rule
from bitloom.study.live.remote import RemoteEvaluator, connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FACTORY = "fixed_evaluator:FixedEvaluator"


def plan(bits: int) -> Plan:
    return Plan(name=f"p{bits}", base="b", rules=(Rule(bits=bits),))


def test_actors_answer_fail_and_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs Ray: bitloom[ray]")
    root = Path(__file__).resolve().parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{Path(__file__).parent}")
    ray = connect("local")
    try:
        evaluators = [RemoteEvaluator(ray, FACTORY, ()) for _ in range(2)]
        pids = {evaluator.evaluate(plan(4)).stored_bytes for evaluator in evaluators}
        assert len(pids) == 2
        assert os.getpid() not in pids
        with pytest.raises(PlanError, match="does not fit"):
            evaluators[0].evaluate(plan(5))
        with pytest.raises(WorkerError, match="died"):
            evaluators[0].evaluate(plan(3))
        again = evaluators[0].evaluate(plan(4))
        assert again.scores["CIDEr"].value == pytest.approx(0.4)
        assert again.stored_bytes not in pids
        for evaluator in evaluators:
            evaluator.close()
    finally:
        ray.shutdown()
