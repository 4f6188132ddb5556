"""Outcomes of a comparison, in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from eval_client.compare.model import Outcome
from eval_client.stats.power import ALPHA


@dataclass(frozen=True, slots=True)
class Finding:
    """What a verdict is made of; `p_value` is corrected where it has to be."""

    difference: float
    low: float
    high: float
    p_value: float
    margin: float
    p_equivalence: float
    shown_margin: float
    detectable: float


def outcome_of(finding: Finding) -> Outcome:
    """Equivalent wherever that is shown; else worse or better where a difference is; else undecided."""
    if finding.p_equivalence <= ALPHA:
        return "equivalent"
    if finding.p_value <= ALPHA:
        return "better" if finding.difference > 0 else "worse"
    return "undecided"


def verdict_of(finding: Finding) -> str:
    """One sentence on B against A."""
    outcome = outcome_of(finding)
    by = f"{figure(abs(finding.difference))} (95 % interval {_range(finding)}, {p_text(finding.p_value)})"
    if outcome == "equivalent":
        said = f"equivalent within {figure(finding.margin)}"
        if finding.p_value > ALPHA:
            return said
        side = "better" if finding.difference > 0 else "worse"
        return f"{said}: B is {side} by {by}, which is less than the margin"
    if outcome == "undecided":
        return (
            f"undecided: this sample could have shown a difference of {figure(finding.detectable)}, "
            f"and shows equivalence within {figure(finding.shown_margin)}, not {figure(finding.margin)}"
        )
    return f"B is {outcome} by {by}"


def figure(value: float) -> str:
    """Three decimals, or three digits where these say nothing."""
    return f"{value:.3f}" if abs(value) >= 0.0095 or value == 0 else f"{value:.2g}"


def p_text(p_value: float) -> str:
    """`p = 0.012`, or `p < 0.001`."""
    return f"p = {p_value:.3f}" if p_value >= 0.001 else "p < 0.001"


def _range(finding: Finding) -> str:
    """The interval of the absolute difference."""
    ends = (finding.low, finding.high) if finding.difference > 0 else (-finding.high, -finding.low)
    return f"{figure(ends[0])} to {figure(ends[1])}"
