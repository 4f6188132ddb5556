"""A grid on a local Ray cluster: actors in processes of their own, and plans that are tried elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bitloom.errors import PlanError, WorkerError
from bitloom.plan import Plan, Rule
from bitloom.study.live.evaluator import LiveEvaluator
from bitloom.study.live.remote import RemoteEvaluator, connect, open_remote
from bitloom.study.live.rooms import open_assembly, open_examination

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FACTORY = "fixed_evaluator:FixedEvaluator"
ZOO = Path(os.environ.get("BITLOOM_ZOO", Path(__file__).parents[3] / "zoo"))


def _let_actors_import(monkeypatch: pytest.MonkeyPatch, *directories: Path) -> None:
    known = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*map(str, directories), *([known] if known else [])]))


def plan(bits: int) -> Plan:
    return Plan(name=f"p{bits}", base="b", rules=(Rule(bits=bits),))


def test_actors_answer_fail_and_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs Ray: bitloom[ray]")
    root = Path(__file__).resolve().parents[3]
    _let_actors_import(monkeypatch, root, Path(__file__).parent)
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


@pytest.mark.vllm
def test_an_engine_in_an_actor_measures_as_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="needs Ray: bitloom[ray]")
    _let_actors_import(monkeypatch, Path(__file__).resolve().parents[3])
    rules = (Rule(bits=3, method="rtn", group_size=64),)
    measured = Plan(name="three", base=str(ZOO / "tiny-llava"), rules=rules)
    measured = measured.model_copy(
        update={"calibration": measured.calibration.model_copy(update={"mode": "independent"})}
    )
    asked = ("scenes:validation", ("caption", "vqa"), 8)
    try:
        [evaluator], names = open_remote([measured], *asked, 1, "local")
        assert names == ("CIDEr", "vqa_accuracy")
        found = evaluator.evaluate(measured)
        with pytest.raises(PlanError, match="sequential"):
            evaluator.evaluate(Plan(name="odd", base=measured.base, rules=rules))
        evaluator.close()
    finally:
        ray.shutdown()
    live = LiveEvaluator(open_assembly([measured]), open_examination(*asked, measured.base))
    try:
        here = live.evaluate(measured)
    finally:
        live.close()
    assert found.scores == here.scores
    assert found.stored_bytes == here.stored_bytes
