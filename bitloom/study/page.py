"""The study's report: one self-contained HTML page of tables and pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bitloom.files import write_atomic
from bitloom.study.importance.analysis import Analysis
from bitloom.study.importance.plots import importance_figure, png
from bitloom.study.observations import Observations
from bitloom.study.pictures import block_errors, front_figure, front_rows, profile_figure
from bitloom.variant import VariantManifest

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "img{max-width:100%}table{border-collapse:collapse}td,th{padding:.2rem .8rem;"
    "border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}"
    ".flag{color:#9a3412}"
)


@dataclass(frozen=True, slots=True)
class Page:
    """What a report is made of; `variants` give the profiles of errors by block."""

    analysis: Analysis
    observations: Observations
    size_unit: str
    variants: Sequence[VariantManifest] = ()


def write_page(path: Path, page: Page) -> None:
    """Write the report; nothing in it is loaded from elsewhere."""
    report = page.analysis.report
    title = f"Study of {report.score}"
    facts = (
        f"{report.rows} plans, {report.failed} failed; cross-validated R² of the forest {report.r2:.3f}, "
        f"of a linear model {report.linear_r2:.3f}"
    )
    flags = [*([report.refusal] if report.refusal else []), *report.flags]
    parts = [
        f"<h1>{html.escape(title)}</h1><p>{html.escape(facts)}</p>",
        "".join(f'<p class="flag">{html.escape(flag)}</p>' for flag in flags),
        _front(page),
        "<h2>What matters</h2>"
        + picture(png(importance_figure(page.analysis, page.observations)), "importance"),
        *(_profile(variant) for variant in page.variants),
    ]
    write_document(path, title, parts)


def write_document(path: Path, title: str, parts: Sequence[str]) -> None:
    """Write parts, which are HTML, as one page."""
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    body = "\n".join(part for part in parts if part)
    write_atomic(path, f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n')


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _front(page: Page) -> str:
    if page.observations.sizes is None:
        return ""
    rows = front_rows(page.observations)
    names = page.observations.features
    image = picture(png(front_figure(page.observations, page.size_unit)), "Pareto front")
    header = (*names, page.size_unit, page.observations.score)
    return f"<h2>Size and quality</h2>{image}{table(header, rows)}"


def _profile(variant: VariantManifest) -> str:
    if not block_errors(variant):
        return ""
    name = html.escape(variant.name)
    return f"<h2>Errors by block: {name}</h2>" + picture(png(profile_figure(variant)), f"profile of {name}")


def picture(content: bytes, text: str) -> str:
    """A PNG in the page, with `text` (HTML) for those who do not see it."""
    return f'<img alt="{text}" src="data:image/png;base64,{base64.b64encode(content).decode()}">'
