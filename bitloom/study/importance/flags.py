"""What a reader must know before using a ranking: no skill, or another ranking without the lowest bits."""

from __future__ import annotations

from collections.abc import Mapping

from bitloom.study.importance.report import Part

NO_SKILL = 0.1
TURNED = 0.2


def refusal_of(name: str, r2: float) -> str | None:
    """Why there is no ranking: a forest that explains under a tenth of unseen variance ranks nothing."""
    return f"no skill at {name}: R2 = {r2:.2f}" if r2 < NO_SKILL else None


def flags_of(
    linear_r2: float, consensus: Mapping[str, float] | None, restricted: Mapping[str, Part]
) -> list[str]:
    """Flags of the whole grid, then of its parts: refusals, linear models without skill, turned rankings."""
    flags = _linear("the whole grid", linear_r2)
    for name, part in restricted.items():
        flags += [part.refusal] if part.refusal is not None else _linear(name, part.linear_r2)
        if consensus is not None and part.consensus is not None:
            flags += _turned(name, part.consensus, consensus)
    return flags


def _linear(name: str, r2: float | None) -> list[str]:
    if r2 is None or r2 >= NO_SKILL:
        return []
    return [f"a linear model has no skill at {name}: R2 = {r2:.2f}"]


def _turned(name: str, part: Mapping[str, float], whole: Mapping[str, float]) -> list[str]:
    """A part in which some feature's share differs by a fifth of all importance."""
    largest = max(whole, key=lambda feature: abs(part[feature] - whole[feature]))
    if abs(part[largest] - whole[largest]) < TURNED:
        return []
    shown = ", ".join(f"{feature} {100 * share:.0f} %" for feature, share in part.items())
    return [f"the ranking turns at {name}: {shown} ({largest} has {100 * whole[largest]:.0f} % in all rows)"]
