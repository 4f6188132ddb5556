"""The search report as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bitloom.study.search.goal import Z95
from bitloom.study.search.report import FrontPoint, SearchReport


def render(report: SearchReport) -> RenderableType:
    """The plan found, how good predictions were, and the front."""
    best = report.best
    lines = [
        f"best with {report.goal}: {named(best.values)}",
        f"{report.score} {best.score:.4g} at {best.size:.4g} {report.size_unit}, after {len(report.lookups)} "
        f"look-ups ({report.stopped})",
    ]
    if best.predicted is not None and best.predicted_deviation is not None:
        lines.append(
            f"predicted {best.predicted:.4g} ± {Z95 * best.predicted_deviation:.2g}, found {best.score:.4g}"
        )
    if report.accuracy is not None:
        found = report.accuracy
        lines.append(
            f"{found.count} predictions: mean error {found.mean_error:+.3g}, mean absolute error "
            f"{found.mean_absolute_error:.3g}, {100 * found.within_95:.0f} % within their 95 % interval"
        )
    if report.regret is not None:
        lines.append(f"regret on this grid: {report.regret:.4g}")
    tables = [_front(report), *([_compared(report)] if report.compared else [])]
    legend = f"in the tables a plan is its values of {', '.join(best.values)}"
    return Group(*(Text(line) for line in [*lines, legend]), *tables)


def _compared(report: SearchReport) -> Table:
    table = Table(title="On samples the search never saw")
    table.add_column("plan", overflow="fold")
    for heading in (report.size_unit, "kept of the base", "recommended keeps more by"):
        table.add_column(heading, justify="right")
    for each in report.compared:
        lead = each.lead
        bounds = "" if lead is None or lead.low is None else f" ({lead.low:+.3f} .. {lead.high:+.3f})"
        more = "" if lead is None else f"{lead.value:+.3f}{bounds}"
        table.add_row(each.name, f"{each.size:.4g}", f"{each.kept.value:.3f}", more)
    return table


def _front(report: SearchReport) -> Table:
    table = Table(title="Pareto front (believed; * measured)")
    table.add_column("plan", overflow="fold")
    for heading in (report.size_unit, report.score, "95 %"):
        table.add_column(heading, justify="right")
    for point in report.front:
        table.add_row(short(point.values), f"{point.size:.4g}", _score(point), _interval(point))
    return table


def _score(point: FrontPoint) -> str:
    return f"{point.score:.4g}{'*' if point.is_measured else ''}"


def _interval(point: FrontPoint) -> str:
    return f"{point.low:.4g} - {point.high:.4g}"


def named(values: Mapping[str, float]) -> str:
    """A plan with the names of its features."""
    return " ".join(f"{name}={value:g}" for name, value in values.items())


def short(values: Mapping[str, float]) -> str:
    """A plan's values alone, in the order of the features."""
    return " ".join(f"{value:g}" for value in values.values())
