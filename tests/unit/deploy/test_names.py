"""Reading metric names out of PromQL and scrapes."""

from __future__ import annotations

import re

from deploy.names import (
    dashboard_expressions,
    family_names,
    metric_names,
    recorded_names,
    rule_expressions,
)
from server.metrics import Metrics


def test_names_in_promql() -> None:
    expression = (
        'sum(rate(bitloom_a_total{x="y"}[5m])) / variant:bitloom_b:rate5m + vllm:c_d_bucket{variant="$v"}'
    )
    assert metric_names([expression]) == {"bitloom_a_total", "vllm:c_d_bucket"}


def test_families_of_a_scrape() -> None:
    scrape = "# TYPE a_total counter\na_total 1\n# TYPE b histogram\n# TYPE c summary\n# TYPE d gauge\n"
    assert family_names(scrape) == {"a_total", "b_bucket", "b_sum", "b_count", "c_sum", "c_count", "d"}


def test_dashboards_read_only_series_that_are_recorded() -> None:
    used = set(
        re.findall(r"\b(?:variant|arm|experiment|instance):bitloom_[\w:]+", " ".join(dashboard_expressions()))
    )
    assert used
    assert used <= recorded_names()


def test_every_gateway_metric_that_is_named_is_declared() -> None:
    named = metric_names(rule_expressions() + dashboard_expressions())
    own = {name for name in named if name.startswith("bitloom_")}
    assert len(own) > 30
    assert own <= family_names(Metrics().render().decode())
