"""The report as one HTML page that needs nothing from outside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from eval_client.compare.render import LEGEND
from eval_client.report.document import Report
from eval_client.report.repeat import recipe_text
from eval_client.report.text import visible


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture with a title; `name` is part of its file's name beside the report."""

    name: str
    title: str
    png: bytes

    @property
    def uri(self) -> str:
        """The picture within the page."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def render_page(report: Report, plots: Sequence[Plot]) -> str:
    """The page. Everything that a model or a data set wrote is escaped, and shown where it is invisible."""
    environment = Environment(
        loader=PackageLoader("eval_client", "report"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["visible"] = visible
    return environment.get_template("page.html.j2").render(
        title=report.title,
        subtitle=report.subtitle,
        summary=report.summary,
        notes=report.notes,
        plots=plots,
        tables=report.tables,
        legend=LEGEND if report.comparisons else "",
        examples=report.examples,
        disagreements=report.disagreements,
        repeat=[{"name": each.model, "text": recipe_text(each)} for each in report.recipes],
    )
