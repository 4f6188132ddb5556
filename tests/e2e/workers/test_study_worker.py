"""A plan swapped into the live engine answers as the variant that is built from it, sample by sample."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bitloom.errors import WorkerError
from bitloom.plan import Plan
from bitloom.study.live.engine import EngineProcess
from bitloom.study.live.evaluator import LiveEvaluator
from bitloom.study.live.rooms import open_assembly, open_examination
from quantize.pipeline import quantize

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(3000)]

ZOO = Path(os.environ.get("BITLOOM_ZOO", Path(__file__).parents[3] / "zoo"))


def plan_of(base: Path, name: str, *rules: dict[str, object]) -> Plan:
    calibration = {"mode": "independent", "samples": 32}
    document = {"name": name, "base": str(base), "rules": list(rules), "calibration": calibration}
    return Plan.parse(document, source="test")


@pytest.mark.parametrize("model", ["tiny-llava", "tiny-blip2"])
def test_swapped_and_built_plans_give_the_same_answers(model: str, tmp_path: Path) -> None:
    base = ZOO / model
    mixed = plan_of(
        base,
        "mixed",
        {"bits": 4, "method": "gptq", "group_size": 64},
        {"component": "vision", "bits": 3},
        {"component": "connector", "bits": 5, "method": "rtn"},
        {"component": "language", "blocks": "front", "bits": 6},
    )
    low = plan_of(base, "low", {"bits": 2, "method": "rtn", "group_size": 128})
    assembly = open_assembly([mixed, low], tmp_path / "store")
    examination = open_examination("scenes:validation", ("caption", "vqa"), 50, model)
    quantize(mixed, tmp_path / "variant", store=tmp_path / "store")
    live = LiveEvaluator(assembly, examination)
    try:
        # Another plan before it: what is compared has been swapped in over a swap.
        broken = live.answers(low)
        swapped = live.answers(mixed)
    finally:
        live.close()
    with EngineProcess(tmp_path / "variant") as real:
        real.ask(examination.requests())
        built = real.answer()
    assert len(swapped) == len(built) == 100
    assert [each["text"] for each in swapped] == [each["text"] for each in built]
    assert [each["text"] for each in broken] != [each["text"] for each in swapped]


def test_a_killed_engine_is_an_error_and_the_next_call_starts_another(tmp_path: Path) -> None:
    base = ZOO / "tiny-llava"
    plan = plan_of(base, "rtn", {"bits": 4, "method": "rtn", "group_size": 64})
    assembly = open_assembly([plan], tmp_path / "store")
    examination = open_examination("scenes:validation", ("vqa",), 4, "tiny-llava")
    started: list[EngineProcess] = []

    def start() -> EngineProcess:
        started.append(EngineProcess(base))
        return started[-1]

    live = LiveEvaluator(assembly, examination, start)
    try:
        first = live.answers(plan)
        os.kill(started[0].pid, 9)
        with pytest.raises(WorkerError, match="died"):
            live.answers(plan)
        assert live.answers(plan) == first
        assert len(started) == 2
    finally:
        live.close()
