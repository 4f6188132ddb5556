"""Plans measured on a Ray cluster: an actor a worker, each with its own store, samples and engine.

The checkpoint and the package must be at the same path on every machine, as for any Ray job. An actor that
dies is the death of its engine: the plan is tried elsewhere, and the actor is made anew.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitloom.errors import BitloomError, InputError, PlanError, WorkerError
from bitloom.plan import Plan
from bitloom.study.evaluator import Evaluator, PlanResult
from bitloom.study.live.evaluator import LiveEvaluator
from bitloom.study.live.rooms import open_assembly, open_examination

FACTORY = "bitloom.study.live.remote:live_evaluator"


class RemoteActor:
    """What runs in the actor: an evaluator from a factory, which is called by its name."""

    def __init__(self, factory: str, arguments: tuple[Any, ...]) -> None:
        module, name = factory.split(":")
        self._evaluator: Evaluator = getattr(importlib.import_module(module), name)(*arguments)

    def evaluate(self, plan: str) -> PlanResult | tuple[str, str]:
        """The plan's result, or the kind and text of its error: foreign classes do not travel well."""
        try:
            return self._evaluator.evaluate(Plan.model_validate_json(plan))
        except BitloomError as exc:
            return ("worker" if isinstance(exc, WorkerError) else "plan", str(exc))


class RemoteEvaluator:
    """An `Evaluator` whose work is done by an actor."""

    def __init__(self, ray: Any, factory: str, arguments: tuple[Any, ...]) -> None:
        self._ray = ray
        self._work = (factory, arguments)
        self._actor = self._make()

    def evaluate(self, plan: Plan) -> PlanResult:
        """As the actor's evaluator; WorkerError where the actor died."""
        try:
            found = self._ray.get(self._actor.evaluate.remote(plan.model_dump_json()))
        except self._ray.exceptions.RayError as exc:
            self._actor = self._make()
            raise WorkerError(f"the study's actor died: {exc}") from exc
        if isinstance(found, PlanResult):
            return found
        kind, text = found
        raise WorkerError(text) if kind == "worker" else PlanError(text)

    def _make(self) -> Any:
        return self._ray.remote(RemoteActor).options(num_cpus=1).remote(*self._work)

    def close(self) -> None:
        """End the actor and its engine."""
        self._ray.kill(self._actor)


def connect(address: str) -> Any:
    """Ray, connected: `local` starts a cluster here. InputError where Ray is missing or nobody answers."""
    try:
        ray = importlib.import_module("ray")
    except ImportError as exc:
        raise InputError("--ray needs Ray; install bitloom[ray]") from exc
    try:
        ray.init(address=None if address == "local" else address, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as exc:
        raise InputError(f"--ray {address!r}: {exc}; give `local`, `auto` or HOST:PORT") from exc
    return ray


def live_evaluator(
    plans: Sequence[str], data: str, tasks: Sequence[str], samples: int, store: str | None = None
) -> LiveEvaluator:
    """The evaluator of an actor; its machine quantizes what its store lacks."""
    parsed = [Plan.model_validate_json(plan) for plan in plans]
    assembly = open_assembly(parsed, None if store is None else Path(store))
    return LiveEvaluator(assembly, open_examination(data, tasks, samples, parsed[0].base))


def open_remote(
    plans: Sequence[Plan], data: str, tasks: Sequence[str], samples: int, workers: int, address: str
) -> tuple[list[RemoteEvaluator], tuple[str, ...]]:
    """Evaluators on a cluster, and the names of their scores."""
    examination = open_examination(data, tasks, samples, plans[0].base)
    ray = connect(address)
    arguments = ([plan.model_dump_json() for plan in plans], data, tuple(tasks), samples)
    evaluators = [RemoteEvaluator(ray, FACTORY, arguments) for _ in range(workers)]
    return evaluators, examination.score_names
