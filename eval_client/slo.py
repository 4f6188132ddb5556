"""Service-level objectives: the latency bounds that an answer must keep to be a good one.

Goodput (Zhong et al. 2024, DistServe, arXiv 2401.09670) counts only answers that keep all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bitloom.errors import InputError

NAMES = ("ttft", "tpot", "latency")


@dataclass(frozen=True, slots=True)
class Slo:
    """Bounds in seconds by name: `ttft`, `tpot`, `latency` (of the whole request)."""

    bounds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


NO_SLO = Slo()


def parse_slo(text: str | None) -> Slo:
    """`ttft=0.5,tpot=0.05`, in seconds; None is no bound. Raises InputError naming the part that is wrong."""
    if not text:
        return NO_SLO
    bounds: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        bound = _seconds(number)
        if name not in NAMES or bound is None or name in bounds:
            raise InputError(
                f"--slo {text!r}: {part!r} is not understood; give each of {', '.join(NAMES)} at most once, "
                "in seconds above 0: ttft=0.5,tpot=0.05"
            )
        bounds[name] = bound
    return Slo(bounds)


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
