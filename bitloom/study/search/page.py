"""A search's report as one self-contained HTML page: front, comparisons, predictions, finalists."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from bitloom.study.importance.plots import png
from bitloom.study.page import picture, table, write_document
from bitloom.study.search.figures import (
    compared_figure,
    front_figure,
    prediction_figure,
    sensitivity_figure,
)
from bitloom.study.search.goal import Z95
from bitloom.study.search.report import FinalistReport, HeldOutScore, SearchReport
from bitloom.study.search.table import named


def write_search_page(path: Path, report: SearchReport) -> None:
    """Write the report; nothing in it is loaded from elsewhere."""
    best = report.best
    found = f"{report.score} {best.score:.4g} at {best.size:.4g} {report.size_unit}: {named(best.values)}"
    parts = [
        f"<h1>Search: {html.escape(report.goal)}</h1><p>{html.escape(found)}</p>",
        f"<p>{len(report.lookups)} look-ups; {html.escape(report.stopped)}</p>",
        "<h2>Size and quality</h2>" + picture(png(front_figure(report)), "Pareto front"),
        _front(report),
        _compared(report),
        _predictions(report),
        _sensitivities(report),
        _finalists(report.finalists),
        "<h2>Look-ups</h2>" + table(("plan", report.size_unit, report.score, "predicted"), _lookups(report)),
    ]
    write_document(path, f"Search: {report.goal}", parts)


def _front(report: SearchReport) -> str:
    rows = [
        (
            named(point.values),
            f"{point.size:.4g}",
            f"{point.score:.4g}",
            f"{point.low:.4g} .. {point.high:.4g}",
            "yes" if point.is_measured else "no",
        )
        for point in report.front
    ]
    return table(("plan", report.size_unit, report.score, "95 %", "measured"), rows)


def _compared(report: SearchReport) -> str:
    if not report.compared:
        return ""
    rows = [
        (each.name, named(each.values), f"{each.size:.4g}", _held_out(each.kept), _held_out(each.lead))
        for each in report.compared
    ]
    header = ("", "plan", report.size_unit, "kept of the base", "the recommended plan keeps more by")
    image = picture(png(compared_figure(report)), "kept on held-out samples")
    return "<h2>Beside uniform plans, on samples the search never saw</h2>" + image + table(header, rows)


def _predictions(report: SearchReport) -> str:
    predicted = [each for each in report.lookups if each.predicted is not None]
    if not predicted or report.accuracy is None:
        return ""
    found = report.accuracy
    text = (
        f"{found.count} predictions: mean error {found.mean_error:+.3g}, mean absolute error "
        f"{found.mean_absolute_error:.3g}, {100 * found.within_95:.0f} % within their 95 % interval"
    )
    image = picture(png(prediction_figure(predicted, report.score)), "predicted and measured")
    return f"<h2>Predicted and measured</h2><p>{html.escape(text)}</p>{image}"


def _sensitivities(report: SearchReport) -> str:
    if not report.sensitivities:
        return ""
    image = picture(png(sensitivity_figure(report.sensitivities)), "sensitivity of parts")
    return f"<h2>What each part loses, from one calibration pass</h2>{image}"


def _finalists(finalists: Sequence[FinalistReport]) -> str:
    if not finalists:
        return ""
    names = list(finalists[0].held_out)
    rows = []
    for each in finalists:
        held_out = [each.held_out[name] for name in names]
        scores = [_held_out(score) for score in held_out]
        latency = "" if each.request_s is None else f"{1000 * each.request_s:.1f} ms"
        rows.append((named(each.values), f"{each.stored_bytes / 1e6:.3f} MB", latency, *scores))
    header = ("plan", "stored", "request, median", *names)
    return "<h2>Finalists, built and served, on samples the search never saw</h2>" + table(header, rows)


def _held_out(score: HeldOutScore | None) -> str:
    if score is None or score.low is None or score.high is None:
        return "" if score is None else f"{score.value:.4g}"
    return f"{score.value:.4g} ({score.low:.4g} .. {score.high:.4g})"


def _lookups(report: SearchReport) -> list[tuple[str, ...]]:
    return [
        (
            named(each.values),
            f"{each.size:.4g}",
            f"{each.score:.4g} ± {Z95 * each.standard_error:.2g}",
            ""
            if each.predicted is None
            else f"{each.predicted:.4g} ± {Z95 * (each.predicted_deviation or 0):.2g}",
        )
        for each in report.lookups
    ]
