"""From a grid to its plans, in an order in which any prefix is still a balanced grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from bitloom.errors import PlanError
from bitloom.plan import Plan
from bitloom.study.grid import Grid, Value

AT_MOST = 20_000
NAME_LENGTH = 96
WHOLE = 16
UNQUANTIZED: dict[str, object] = {"bits": WHOLE}


@dataclass(frozen=True, slots=True)
class GridEntry:
    """One plan of a grid and its place in it: the value of each axis, empty for listed plans."""

    plan: Plan
    features: Mapping[str, Value] = field(default_factory=dict)


def expand(grid: Grid) -> list[GridEntry]:
    """All different plans of a grid, to be run in this order.

    A product is ordered by `balanced_order`; a list keeps its own. Points that make the same plan are one
    entry, the first. Raises PlanError for a plan that is not valid, naming its point, or too many plans.
    """
    if grid.plans:
        listed = [GridEntry(_plan(grid, each.name, each.rules, each.name)) for each in grid.plans]
        return _different(listed)
    sizes = [len(values) for values in grid.axes.values()]
    if np.prod(sizes, dtype=np.float64) > AT_MOST:
        raise PlanError(
            f"grid {grid.name} has {np.prod(sizes, dtype=np.float64):.0f} points, more than {AT_MOST}; use "
            "fewer values, or let the search choose"
        )
    entries = _different([_entry(grid, dict(zip(grid.axes, point, strict=True))) for point in _points(grid)])
    levels = [[grid.axes[name].index(entry.features[name]) for name in grid.axes] for entry in entries]
    return [entries[index] for index in balanced_order(np.array(levels))]


def balanced_order(levels: NDArray[np.int64]) -> list[int]:
    """An order of points [points, axes] in which every prefix has each level about equally often.

    Greedy: next comes the point whose levels were seen least so far, then the one whose pairs of levels
    were; what is still equal is taken in the given order. Quadratic in the number of points.
    """
    points, axes = levels.shape
    pairs = list(combinations(range(axes), 2))
    keys = [levels[:, axis] for axis in range(axes)]
    keys += [levels[:, a] * (levels[:, b].max() + 1) + levels[:, b] for a, b in pairs]
    weights = [float(points)] * axes + [1.0 / max(len(pairs), 1)] * len(pairs)
    crowding = np.zeros(points)
    order = []
    for _ in range(points):
        chosen = int(np.argmin(crowding))
        order.append(chosen)
        for key, weight in zip(keys, weights, strict=True):
            crowding[key == key[chosen]] += weight
        crowding[chosen] = np.inf
    return order


def _points(grid: Grid) -> Sequence[tuple[Value, ...]]:
    return list(product(*grid.axes.values()))


def _entry(grid: Grid, features: Mapping[str, Value]) -> GridEntry:
    filled = [rule for rule in (rule.fill(features) for rule in grid.rules) if rule is not None]
    # A plan may not set a method where nothing is quantized: the base itself is a point of the product.
    is_whole = all(rule.get("bits", WHOLE) == WHOLE for rule in filled)
    rules = [UNQUANTIZED] if is_whole else filled
    place = "-".join(f"{name}={value}" for name, value in features.items())
    name = f"{grid.name}." + "-".join(f"{name}{value}" for name, value in features.items())
    plan = _plan(grid, grid.name, rules, place)
    if len(name) > NAME_LENGTH:
        name = f"{grid.name}.{plan.hash[:16]}"
    return GridEntry(plan.model_copy(update={"name": name}), features)


def _plan(grid: Grid, name: str, rules: Sequence[object], place: str) -> Plan:
    document = {
        "name": name,
        "base": grid.base,
        "revision": grid.revision,
        "rules": rules,
        "calibration": grid.calibration,
    }
    return Plan.parse(document, source=f"grid {grid.name} at {place}")


def _different(entries: Sequence[GridEntry]) -> list[GridEntry]:
    found: dict[str, GridEntry] = {}
    for entry in entries:
        found.setdefault(entry.plan.hash, entry)
    return list(found.values())
