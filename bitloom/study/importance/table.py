"""The importance report as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bitloom.study.importance.report import ImportanceReport


def render(report: ImportanceReport) -> RenderableType:
    """Ranking (or its refusal), parts without the lowest bits, interactions and flags."""
    parts: list[RenderableType] = [
        Text(f"{report.score}: {report.rows} rows, R2 {report.r2:.3f}, linear R2 {report.linear_r2:.3f}")
    ]
    parts.append(Text(report.refusal, style="red") if report.refusal else _ranking(report))
    if report.interactions:
        parts.append(_interactions(report))
    parts.append(_restricted(report))
    parts += [Text(f"! {flag}", style="yellow") for flag in report.flags]
    return Group(*parts)


def _ranking(report: ImportanceReport) -> Table:
    table = Table(title="share of importance, %")
    table.add_column("feature")
    for heading in ("consensus", "95 %", "impurity", "permutation", "|SHAP|"):
        table.add_column(heading, justify="right")
    if report.consensus is None or report.intervals is None or report.measures is None:
        return table
    for feature in sorted(report.consensus, key=lambda name: -(report.consensus or {})[name]):
        interval = report.intervals[feature]
        table.add_row(
            feature,
            _percent(report.consensus[feature]),
            f"{_percent(interval.low)} - {_percent(interval.high)}",
            _percent(report.measures.impurity[feature]),
            _percent(report.measures.permutation[feature]),
            _percent(report.measures.shap[feature]),
        )
    return table


def _interactions(report: ImportanceReport) -> Table:
    table = Table(title="interaction strength (H², 0 where two features add up)")
    table.add_column("pair")
    table.add_column("H²", justify="right")
    for pair in report.interactions:
        table.add_row(" x ".join(pair.features), f"{pair.strength:.3f}")
    return table


def _restricted(report: ImportanceReport) -> Table:
    table = Table(title="without the lowest bits: shares, %")
    table.add_column("part")
    for heading in ("rows", "R2", "linear R2", *report.features):
        table.add_column(heading, justify="right")
    for name, part in report.restricted.items():
        shares = part.consensus or {}
        table.add_row(
            name, str(part.rows), _number(part.r2), _number(part.linear_r2), *_shares(report, shares)
        )
    return table


def _shares(report: ImportanceReport, shares: dict[str, float]) -> Iterator[str]:
    return (_percent(shares[feature]) if feature in shares else "-" for feature in report.features)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
