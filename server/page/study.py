"""The results of a study as the page draws them: every measured plan, and the front of each score.

A plan is on the front of a score where no plan that is as small or smaller scores as high or higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bitloom.errors import DataError
from bitloom.schema import Schema
from bitloom.study.rows import Row, read_rows

ERROR_SUFFIX = "_se"


class StudyPlan(Schema):
    """A measured plan: `errors` are the standard errors of `scores`, `front` names the fronts it is on."""

    plan: str
    bytes: float
    bpw: float
    scores: dict[str, float]
    errors: dict[str, float]
    front: tuple[str, ...]


class StudyFigures(Schema):
    """All measured plans of a study, or why there are none."""

    scores: tuple[str, ...]
    plans: tuple[StudyPlan, ...]
    message: str | None = None


def study_figures(path: Path | None) -> StudyFigures:
    """Figures of a results file (`bitloom study`), read anew each time because a running study grows it."""
    if path is None:
        return _none("This server shows no study; give it the results file as `study` in its configuration.")
    try:
        rows = [row for row in read_rows(path) if row.cells.get("state", "measured") == "measured"]
        return _figures(rows)
    except DataError as exc:
        return _none(str(exc))
    except (KeyError, ValueError) as exc:
        return _none(f"{path.name} has no numbers for its plans ({exc}); give a results file of a study.")


def _figures(rows: Sequence[Row]) -> StudyFigures:
    if not rows:
        return _none("No plan of the study has been measured yet.")
    names = rows[0].cells
    scores = tuple(name for name in names if f"{name}{ERROR_SUFFIX}" in names)
    measured = [
        StudyPlan(
            plan=row.cells["plan"],
            bytes=float(row.cells["bytes"]),
            bpw=float(row.cells["bpw"]),
            scores={name: float(row.cells[name]) for name in scores},
            errors={name: float(row.cells[name + ERROR_SUFFIX] or 0) for name in scores},
            front=(),
        )
        for row in rows
    ]
    fronts = {name: pareto_front(measured, name) for name in scores}
    plans = tuple(
        each.model_copy(update={"front": tuple(name for name in scores if index in fronts[name])})
        for index, each in enumerate(measured)
    )
    return StudyFigures(scores=scores, plans=plans)


def pareto_front(plans: Sequence[StudyPlan], score: str) -> frozenset[int]:
    """Indices of the plans that none beats in both size (bpw) and score."""
    order = sorted(range(len(plans)), key=lambda index: (plans[index].bpw, -plans[index].scores[score]))
    front, best = set(), float("-inf")
    for index in order:
        if plans[index].scores[score] > best:
            front.add(index)
            best = plans[index].scores[score]
    return frozenset(front)


def _none(message: str) -> StudyFigures:
    return StudyFigures(scores=(), plans=(), message=message)
