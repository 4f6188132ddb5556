"""Which metrics the rules and dashboards name: a scrape without one leaves them empty for ever."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from deploy.grafana.__main__ import dashboards

RULES = Path(__file__).resolve().parent / "prometheus" / "rules"
_NAME = re.compile(r"(?<![\w:])((?:bitloom_|vllm:)\w+)")


def rule_expressions(folder: Path = RULES) -> list[str]:
    """Expressions of all recording rules and alerts."""
    groups = [
        group
        for path in sorted(folder.glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    ]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def recorded_names(folder: Path = RULES) -> frozenset[str]:
    """Names of the series that rules record."""
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.yml"))
    return frozenset(re.findall(r"record: (\S+)", text))


def dashboard_expressions() -> list[str]:
    """Expressions of all panels, and the series that variables are read from."""
    panels = [query.expression for page in dashboards() for panel in page.panels for query in panel.queries]
    return panels + [variable.series for page in dashboards() for variable in page.variables]


def metric_names(expressions: Iterable[str]) -> frozenset[str]:
    """Names of the gateway's and vLLM's own series in PromQL; recorded series do not count."""
    return frozenset(name for each in expressions for name in _NAME.findall(each))


def family_names(scrape: str) -> frozenset[str]:
    """Names of series that a scrape in Prometheus' text format declares, those without samples included."""
    names: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", scrape, re.MULTILINE):
        suffixes = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}.get(
            kind, ("",)
        )
        names |= {name + suffix for suffix in suffixes}
    return frozenset(names)
