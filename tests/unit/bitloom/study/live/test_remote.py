"""An actor's results and errors come back as if it were here; a dead actor is made anew."""

from __future__ import annotations

import importlib.util
import types
from typing import Any

import pytest

from bitloom.errors import InputError, PlanError, WorkerError
from bitloom.plan import Plan, Rule
from bitloom.study.evaluator import PlanResult, ScoreEstimate
from bitloom.study.live.remote import RemoteActor, RemoteEvaluator, connect


class FixedEvaluator:
    """Knows a plan's score by its bits; 3 bits kill an engine, 5 do not fit."""

    def evaluate(self, plan: Plan) -> PlanResult:
        bits = plan.rules[0].bits or 16
        if bits == 3:
            raise WorkerError("its engine died")
        if bits == 5:
            raise PlanError("it does not fit")
        return PlanResult({"CIDEr": ScoreEstimate(bits / 10, 0.1)}, bits, bits, bits, 0.1)


def make() -> FixedEvaluator:
    return FixedEvaluator()


def plan(bits: int) -> Plan:
    return Plan(name=f"p{bits}", base="b", rules=(Rule(bits=bits),))


class RayError(Exception):
    pass


class FakeRay:
    """Ray's calls, run at once; an actor dies at its call number `dies_at`."""

    exceptions = types.SimpleNamespace(RayError=RayError)

    def __init__(self, dies_at: int | None = None) -> None:
        self.made = self.calls = self.killed = 0
        self.dies_at = dies_at

    def remote(self, actor: type[RemoteActor]) -> Any:
        def start(_factory: str, _arguments: tuple[Any, ...]) -> Any:
            self.made += 1
            own = actor.__new__(actor)
            own._evaluator = make()
            return types.SimpleNamespace(evaluate=types.SimpleNamespace(remote=own.evaluate))

        return types.SimpleNamespace(options=lambda **_: types.SimpleNamespace(remote=start))

    def get(self, found: Any) -> Any:
        self.calls += 1
        if self.calls == self.dies_at:
            raise RayError("the actor is gone")
        return found

    def kill(self, _actor: Any) -> None:
        self.killed += 1


def test_results_and_errors_come_back() -> None:
    ray = FakeRay()
    evaluator = RemoteEvaluator(ray, "anywhere:make", ())
    assert evaluator.evaluate(plan(4)).scores["CIDEr"].value == pytest.approx(0.4)
    with pytest.raises(WorkerError, match="engine died"):
        evaluator.evaluate(plan(3))
    with pytest.raises(PlanError, match="does not fit"):
        evaluator.evaluate(plan(5))
    evaluator.close()
    assert (ray.made, ray.killed) == (1, 1)


def test_a_dead_actor_is_made_anew() -> None:
    ray = FakeRay(dies_at=1)
    evaluator = RemoteEvaluator(ray, "anywhere:make", ())
    with pytest.raises(WorkerError, match="the actor is gone"):
        evaluator.evaluate(plan(4))
    assert evaluator.evaluate(plan(4)).stored_bytes == 4
    assert ray.made == 2


def test_without_ray_the_remedy_is_said() -> None:
    if importlib.util.find_spec("ray") is not None:
        pytest.skip("Ray is installed here")
    with pytest.raises(InputError, match=r"bitloom\[ray\]"):
        connect("local")
