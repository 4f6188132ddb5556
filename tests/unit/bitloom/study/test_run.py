"""A grid is run to its end whatever dies, by one evaluator or several, and resumed where it was cut off."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bitloom.errors import PlanError, WorkerError
from bitloom.plan import Plan, Rule
from bitloom.study.evaluator import PlanResult, ScoreEstimate
from bitloom.study.grid_expansion import GridEntry
from bitloom.study.run import run_grid
from bitloom.study.table import Columns, ResultsTable

COLUMNS = Columns(features=("bits",), scores=("CIDEr",))
ENTRIES = [
    GridEntry(Plan(name=f"p{bits}", base="b", rules=(Rule(bits=bits),)), {"bits": bits})
    for bits in (2, 3, 4, 5, 6, 8)
]


class FakeEvaluator:
    """Scores a plan by its bits, unless `fault` has something to raise for it."""

    def __init__(self, fault: Callable[[Plan], BaseException | None] = lambda _: None) -> None:
        self.fault = fault
        self.asked: Counter[str] = Counter()

    def evaluate(self, plan: Plan) -> PlanResult:
        self.asked[plan.name] += 1
        found = self.fault(plan)
        if found is not None:
            raise found
        bits = plan.rules[0].bits or 16
        return PlanResult({"CIDEr": ScoreEstimate(bits / 10, 0.01)}, bits * 100, bits, bits, 0.1)


def failing(name: str, error: BaseException) -> Callable[[Plan], BaseException | None]:
    return lambda plan: error if plan.name == name else None


def test_every_plan_gets_a_row_in_order(tmp_path: Path) -> None:
    table, heard = ResultsTable.open(tmp_path, COLUMNS), []
    run_grid(ENTRIES, table, [FakeEvaluator()], lambda entry, done, total: heard.append((entry, done, total)))
    assert [row["plan"] for row in table.rows.values()] == [entry.plan.name for entry in ENTRIES]
    assert heard[-1] == (ENTRIES[-1], 6, 6)


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    with pytest.raises(Killed):
        run_grid(ENTRIES, ResultsTable.open(tmp_path, COLUMNS), [FakeEvaluator(failing("p5", Killed()))])
    again, evaluator = ResultsTable.open(tmp_path, COLUMNS), FakeEvaluator()
    assert len(again.hashes("measured")) == 3
    run_grid(ENTRIES, again, [evaluator])
    assert sorted(evaluator.asked) == ["p5", "p6", "p8"]
    assert len(again.hashes("measured")) == 6


def test_a_dead_engine_costs_its_plan_one_more_try(tmp_path: Path) -> None:
    deaths = iter([WorkerError("it died"), None])
    table = ResultsTable.open(tmp_path, COLUMNS)
    evaluator = FakeEvaluator(lambda plan: next(deaths) if plan.name == "p3" else None)
    run_grid(ENTRIES, table, [evaluator])
    assert evaluator.asked["p3"] == 2
    assert len(table.hashes("measured")) == 6


def test_the_second_try_is_elsewhere_and_the_last(tmp_path: Path) -> None:
    table = ResultsTable.open(tmp_path, COLUMNS)
    both = [FakeEvaluator(failing("p4", WorkerError("it died"))) for _ in range(2)]
    run_grid(ENTRIES, table, both)
    assert [evaluator.asked["p4"] for evaluator in both] == [1, 1]
    (failed,) = table.hashes("failed")
    assert table.rows[failed]["plan"] == "p4"
    assert table.rows[failed]["error"] == "it died"
    assert len(table.hashes("measured")) == 5


def test_a_plan_that_does_not_fit_is_a_row_at_once(tmp_path: Path) -> None:
    table, evaluator = ResultsTable.open(tmp_path, COLUMNS), FakeEvaluator(failing("p2", PlanError("no")))
    run_grid(ENTRIES, table, [evaluator])
    assert evaluator.asked["p2"] == 1
    assert len(table.hashes("failed")) == 1


def test_several_evaluators_share_the_plans(tmp_path: Path) -> None:
    both_busy = threading.Barrier(2, timeout=30)
    met: list[str] = []

    def meet(plan: Plan) -> None:
        if plan.name in {"p2", "p3"}:
            both_busy.wait()
            met.append(plan.name)

    evaluators = [FakeEvaluator(meet) for _ in range(2)]
    table = ResultsTable.open(tmp_path, COLUMNS)
    run_grid(ENTRIES, table, evaluators)
    assert sorted(met) == ["p2", "p3"]
    assert len(table.hashes("measured")) == 6
    assert sum((evaluator.asked for evaluator in evaluators), Counter()).most_common(1)[0][1] == 1
