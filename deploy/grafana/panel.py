"""Grafana's JSON, as little of it as the dashboards need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["timeseries", "stat", "heatmap", "table", "bargauge"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
HEIGHT = 8
# Grafana 11's schema; later versions migrate it when they load it.
SCHEMA_VERSION = 39


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and how its series are called, as in `{{variant}}`."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph. `unit` is a Grafana unit: s, bytes, percentunit, reqps, short; `width` of 24 columns."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 12

    def document(self, number: int, x: int, y: int) -> dict[str, Any]:
        """The panel in Grafana's JSON, at a place of the grid."""
        form = {"heatmap": "heatmap", "table": "table"}.get(self.kind, "time_series")
        targets = [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": "{{le}}" if self.kind == "heatmap" else query.legend,
                "format": form,
                "instant": self.kind in ("table", "bargauge"),
            }
            for index, query in enumerate(self.queries)
        ]
        document: dict[str, Any] = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": HEIGHT},
            "fieldConfig": {"defaults": {"unit": self.unit, "custom": {}}, "overrides": []},
            "targets": targets,
        }
        if self.kind == "heatmap":
            document["options"] = {"calculate": False, "yAxis": {"unit": self.unit}}
        return document


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the head of a dashboard: the values of `label` in `series`."""

    name: str
    series: str
    label: str
    is_multi: bool = False

    def document(self) -> dict[str, Any]:
        """The variable in Grafana's JSON."""
        query = f"label_values({self.series}, {self.label})"
        return {
            "name": self.name,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": self.name},
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "multi": self.is_multi,
            "includeAll": self.is_multi,
            "current": {},
        }


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of panels, laid out from left to right."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    panels: tuple[Panel, ...]

    def document(self) -> dict[str, Any]:
        """The dashboard in Grafana's JSON."""
        source = {"name": "datasource", "type": "datasource", "query": "prometheus", "current": {}}
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["bitloom"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": False,
            "refresh": "15s",
            "time": {"from": "now-1h", "to": "now"},
            "templating": {"list": [source, *(each.document() for each in self.variables)]},
            "links": [{"type": "dashboards", "title": "Bitloom", "tags": ["bitloom"], "asDropdown": True}],
            "panels": _laid_out(self.panels),
        }


def _laid_out(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    placed, x, y = [], 0, 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > COLUMNS:
            x, y = 0, y + HEIGHT
        placed.append(panel.document(number, x, y))
        x += panel.width
    return placed
