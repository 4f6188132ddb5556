"""A search on a live engine, from a checkpoint to finalists that were built, served and measured."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from bitloom.errors import InputError
from bitloom.files import write_atomic
from bitloom.schema import Schema
from bitloom.study.live.evaluator import LiveEvaluator
from bitloom.study.live.finalists import measure_finalists
from bitloom.study.live.held_out import compare, contenders
from bitloom.study.live.memory import RememberingEvaluator
from bitloom.study.live.rooms import fisher_losses, open_assembly, open_examination, stored_sizes
from bitloom.study.search.goal import AboveFloor, UnderBudget
from bitloom.study.search.measured import SCORE, Finalist, finalists, search_goal, share_of
from bitloom.study.search.parts import PlanSpace, open_space
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


def search_base(config: SearchConfig, out: Path) -> SearchReport:
    """Search, compare on held-out data, build, serve and evaluate finalists; `search.json` grows with each.

    Look-ups are kept in `out` as they are measured, and are not measured again when a search goes on there.
    Raises InputError (budget, floor, tasks; another search in `out`), PlanError, CheckpointError, DataError,
    WorkerError.
    """
    out.mkdir(parents=True, exist_ok=True)
    _keep_request(config, out)
    is_bytes = config.budget is not None and not parse_budget(config.budget).is_bpw
    unit = "bytes" if is_bytes else "bpw"
    space = open_space(config.base, stored_sizes, fisher_losses, unit=unit)
    report, found = _search(config, space, unit, out)
    write_report(out, report)
    if not found:
        return report
    report = report.model_copy(update={"compared": tuple(_compare(config, space, found))})
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
    same = {"base", "data", "tasks", "samples"}
    if kept.model_dump(include=same) != config.model_dump(include=same):
        raise InputError(f"{path}: another search (base, data, tasks or samples differ); give another --out")


def _search(
    config: SearchConfig, space: PlanSpace, unit: str, out: Path
) -> tuple[SearchReport, list[Finalist]]:
    base = space.plan(dict.fromkeys((part.name for part in space.parts), 16.0), "base")
    examination = open_examination(config.data, config.tasks, config.samples, config.base)
    goal, share = _goal(config, examination.share_names)
    live = LiveEvaluator(open_assembly([base]), examination, base=base)
    evaluator = RememberingEvaluator(live, out, live.score_names)
    try:
        report, outcome, pool = search_goal(space, evaluator, goal, share, lookups=config.lookups, unit=unit)
    finally:
        live.close()
    return report, finalists(space, outcome, pool, goal, margin=config.margin, count=config.finalists)


def _goal(config: SearchConfig, shares: Sequence[str]) -> tuple[UnderBudget | AboveFloor, str]:
    """What is sought, and in which share of the base's scores."""
    if config.budget is not None:
        return UnderBudget(parse_budget(config.budget).value), SCORE
    text = config.floor or ""
    floor = parse_floor(text, text.partition("=")[0] or "score")
    return AboveFloor(floor.share), share_of(floor.score, shares)


def _compare(config: SearchConfig, space: PlanSpace, found: Sequence[Finalist]) -> list[ComparedPlan]:
    chosen = contenders(space, found)
    examination = open_examination(config.held_out, config.tasks, config.samples, config.base)
    live = LiveEvaluator(open_assembly([each.plan for each in chosen]), examination)
    try:
        return compare(chosen, live, examination)
    finally:
        live.close()
