"""What the command line says of a goal: `--budget 4.5bpw`, `--budget 120MiB`, `--floor CIDEr=0.98`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bitloom.errors import InputError

_BUDGET = re.compile(r"^(\d+(?:\.\d+)?)\s*(bpw|B|kB|MB|GB|KiB|MiB|GiB)?$")
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit in bits per weight, or in bytes."""

    value: float
    is_bpw: bool


@dataclass(frozen=True, slots=True)
class FloorRequest:
    """The share of the largest plan's score that must be kept, 0 < share <= 1."""

    score: str
    share: float


def parse_budget(text: str) -> Budget:
    """`4.5bpw`, or bytes: `120000000`, `120MB`, `114MiB`; raise InputError for anything else."""
    found = _BUDGET.match(text.strip())
    if not found or float(found[1]) == 0:
        raise InputError(f"budget {text!r} is neither bits per weight (4.5bpw) nor bytes (120000000, 114MiB)")
    if found[2] == "bpw":
        return Budget(float(found[1]), is_bpw=True)
    return Budget(float(found[1]) * _BYTES.get(found[2] or "B", 1), is_bpw=False)


def budget_in(budget: Budget, column: str) -> float:
    """The budget in the unit of a size column: bits per weight if its name says bpw, else bytes."""
    column_is_bpw = "bpw" in column.lower()
    if column_is_bpw != budget.is_bpw:
        given, wanted = ("bpw", "bytes") if budget.is_bpw else ("bytes", "bpw, as in 4.5bpw")
        raise InputError(f"the budget is in {given}, but the size column {column!r} is not; give {wanted}")
    return budget.value


def parse_floor(text: str, score: str) -> FloorRequest:
    """`NAME=SHARE`, where NAME is the score's (in any case) or `score`; raise InputError otherwise."""
    name, _, share = text.partition("=")
    if name.strip().lower() not in {score.lower(), "score"}:
        raise InputError(f"floor {text!r} is not about the score {score!r}; give {score}=0.98")
    try:
        value = float(share)
    except ValueError as exc:
        raise InputError(f"floor {text!r}: {share!r} is no share; give {score}=0.98") from exc
    if not 0.0 < value <= 1.0:
        raise InputError(f"floor {text!r}: the share must be above 0 and at most 1, as in {score}=0.98")
    return FloorRequest(score, value)
