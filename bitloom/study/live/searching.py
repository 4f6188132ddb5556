"""A search on a live engine, from a checkpoint to finalists that were built, served and measured."""

from __future__ import annotations

import logging
from pathlib import Path

import yaml

from bitloom.demo import stages
from bitloom.files import write_atomic
from bitloom.plan import Plan
from bitloom.schema import Schema
from bitloom.study.live.evaluator import LiveEvaluator
from bitloom.study.live.rooms import fisher_losses, open_assembly, open_examination, stored_sizes
from bitloom.study.search.goal import AboveFloor, Goal, UnderBudget
from bitloom.study.search.measured import Finalist, finalists, search_budget, search_floor
from bitloom.study.search.parts import PlanSpace, open_space
from bitloom.study.search.report import SearchReport
from bitloom.study.search.request import parse_budget, parse_floor

logger = logging.getLogger(__name__)

SEARCH_DATA = "scenes:validation"
REPORT_NAME = "search.json"


class SearchConfig(Schema):
    """What a search is for, and what it may cost."""

    base: str
    budget: str | None
    floor: str | None
    tasks: tuple[str, ...]
    samples: int
    lookups: int
    margin: float = 0.0
    finalists: int = 2


def search_base(config: SearchConfig, out: Path) -> SearchReport:
    """Search, write `search.json` and the finalists' plans, build, serve and evaluate them.

    Raises InputError (budget, floor, tasks), PlanError, CheckpointError, DataError, WorkerError.
    """
    out.mkdir(parents=True, exist_ok=True)
    is_bytes = config.budget is not None and not parse_budget(config.budget).is_bpw
    unit = "bytes" if is_bytes else "bpw"
    space = open_space(config.base, stored_sizes, fisher_losses, unit=unit)
    report, found = _search(config, space, unit)
    write_atomic(out / REPORT_NAME, report.model_dump_json(indent=2) + "\n")
    for finalist in found:
        write_plan(out / f"{finalist.plan.name}.yaml", finalist.plan)
    if found:
        measure_finalists(found, out, samples=config.samples)
    return report


def measure_finalists(found: list[Finalist], out: Path, *, samples: int) -> None:
    """Build the finalists, serve all behind one gateway, and evaluate each on the test split."""
    root = Path.cwd()
    variants = {finalist.plan.name: out / "variants" / finalist.plan.name for finalist in found}
    for name, directory in variants.items():
        if not directory.exists():
            stages.quantize((out / f"{name}.yaml").resolve(), directory.resolve(), root=root)
    resolved = {name: directory.resolve() for name, directory in variants.items()}
    with stages.serving(resolved, log=out / "serve.log", root=root) as endpoint:
        for name in variants:
            stages.evaluate(endpoint, name, (out / "runs" / name).resolve(), samples=str(samples), root=root)


def write_plan(path: Path, plan: Plan) -> None:
    """A plan as the YAML that `bitloom quantize` reads."""
    document = plan.model_dump(mode="json", exclude_none=True)
    write_atomic(path, yaml.safe_dump(document, sort_keys=False))


def _search(config: SearchConfig, space: PlanSpace, unit: str) -> tuple[SearchReport, list[Finalist]]:
    base = space.plan(dict.fromkeys((part.name for part in space.parts), 16.0), "base")
    examination = open_examination(SEARCH_DATA, config.tasks, config.samples, config.base)
    evaluator = LiveEvaluator(open_assembly([base]), examination)
    goal: Goal
    try:
        if config.budget is not None:
            limit = parse_budget(config.budget).value
            goal = UnderBudget(limit)
            report, outcome, pool = search_budget(space, evaluator, limit, lookups=config.lookups, unit=unit)
        else:
            text = config.floor or ""
            floor = parse_floor(text, text.partition("=")[0] or "score")
            goal = AboveFloor(floor.share)
            report, outcome, pool = search_floor(
                space, evaluator, floor.score, floor.share, lookups=config.lookups, unit=unit
            )
    finally:
        evaluator.close()
    chosen = finalists(space, outcome, pool, goal, margin=config.margin, count=config.finalists)
    return report, chosen
