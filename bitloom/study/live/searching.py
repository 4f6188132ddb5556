"""A search on a live engine, from a checkpoint to finalists that were built, served and measured."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bitloom.errors import InputError
from bitloom.files import write_atomic
from bitloom.schema import Schema
from bitloom.study.live.evaluator import LiveEvaluator
from bitloom.study.live.finalists import measure_finalists
from bitloom.study.live.held_out import compare, contenders
from bitloom.study.live.memory import RememberingEvaluator
from bitloom.study.live.rooms import (
    Examination,
    fisher_losses,
    open_assembly,
    open_examination,
    stored_sizes,
)
from bitloom.study.search.goal import AboveFloor, UnderBudget
from bitloom.study.search.measured import SCORE, Finalist, finalists, search_goal, share_of
from bitloom.study.search.parts import WHOLE, PlanSpace, open_space
from bitloom.study.search.report import ComparedPlan, SearchReport
from bitloom.study.search.request import parse_budget, parse_floor

logger = logging.getLogger(__name__)

REPORT_NAME, REQUEST_NAME = "search.json", "request.json"
FINALISTS = 2


class SearchConfig(Schema):
    """What a search is for, and what it may cost."""

    base: str
    budget: str | None
    floor: str | None
    data: str
    held_out: str = "scenes:test"
    tasks: tuple[str, ...]
    samples: int
    lookups: int
    margin: float = 0.0
    finalists: int = FINALISTS


@dataclass(frozen=True, slots=True)
class _Sought:
    """A goal, the share of the base's scores that it is about, and the unit of sizes."""

    goal: UnderBudget | AboveFloor
    share: str
    unit: str


def search_base(config: SearchConfig, out: Path) -> SearchReport:
    """Search, compare on held-out data, build, serve and evaluate finalists; `search.json` grows with each.

    Look-ups are kept in `out` as they are measured, and are not measured again when a search goes on there.
    Raises InputError (budget, floor, tasks; another search in `out`), PlanError, CheckpointError, DataError,
    WorkerError.
    """
    out.mkdir(parents=True, exist_ok=True)
    _keep_request(config, out)
    # What is wrong with the goal or a data set must not come to light only after calibration, or the search.
    searched, held_out = (
        open_examination(data, config.tasks, config.samples, config.base)
        for data in (config.data, config.held_out)
    )
    sought = _sought(config, searched.share_names)
    space = open_space(config.base, stored_sizes, fisher_losses, unit=sought.unit)
    report, found = _search(config, space, sought, searched, out)
    write_report(out, report)
    report = report.model_copy(update={"compared": tuple(_compare(space, found, held_out))})
    write_report(out, report)
    built = measure_finalists(found, out, data=config.held_out, samples=config.samples)
    report = report.model_copy(update={"finalists": tuple(built)})
    write_report(out, report)
    return report


def write_report(out: Path, report: SearchReport) -> None:
    """Write `search.json`."""
    write_atomic(out / REPORT_NAME, report.model_dump_json(indent=2) + "\n")


def _keep_request(config: SearchConfig, out: Path) -> None:
    path = out / REQUEST_NAME
    if not path.exists():
        write_atomic(path, config.model_dump_json(indent=2) + "\n")
        return
    kept = SearchConfig.read(path)
    same = {"base", "data", "held_out", "tasks", "samples"}
    if kept.model_dump(include=same) != config.model_dump(include=same):
        raise InputError(f"{path}: another search (base, data, tasks or samples differ); give another --out")


def _sought(config: SearchConfig, shares: Sequence[str]) -> _Sought:
    if config.budget is not None:
        budget = parse_budget(config.budget)
        return _Sought(UnderBudget(budget.value), SCORE, "bpw" if budget.is_bpw else "bytes")
    text = config.floor or ""
    floor = parse_floor(text, text.partition("=")[0] or "score")
    return _Sought(AboveFloor(floor.share), share_of(floor.score, shares), "bpw")


def _search(
    config: SearchConfig, space: PlanSpace, sought: _Sought, examination: Examination, out: Path
) -> tuple[SearchReport, list[Finalist]]:
    base = space.plan(dict.fromkeys((part.name for part in space.parts), float(WHOLE)), "base")
    live = LiveEvaluator(open_assembly([base]), examination, base=base)
    evaluator = RememberingEvaluator(live, out, live.score_names)
    try:
        report, outcome, pool = search_goal(
            space, evaluator, sought.goal, sought.share, lookups=config.lookups, unit=sought.unit
        )
    finally:
        live.close()
    return report, finalists(space, outcome, pool, sought.goal, margin=config.margin, count=config.finalists)


def _compare(space: PlanSpace, found: Sequence[Finalist], examination: Examination) -> list[ComparedPlan]:
    chosen = contenders(space, found)
    live = LiveEvaluator(open_assembly([each.plan for each in chosen]), examination)
    try:
        return compare(chosen, live, examination)
    finally:
        live.close()
