"""PromQL selectors made from the metric objects themselves: names and labels cannot drift from the code.

A label that the metric does not have is an error when the dashboard is generated, not an empty graph.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, Summary

Collector = Counter | Gauge | Histogram | Summary

# Labels that Prometheus adds to what it scrapes, and the one of histogram buckets.
ADDED_LABELS = frozenset({"job", "instance", "le"})
RANGE = "$__rate_interval"


def select(collector: Collector, *matchers: str, part: str = "") -> str:
    """A selector of one series of a metric: `select(metrics.requests, 'code=~"5.."')`.

    `part` is `bucket`, `sum` or `count` for histograms and summaries. Raises ValueError for a label that the
    metric has not, and for a part that it has not.
    """
    family = next(iter(collector.describe()))
    # The label names are public only through a sample, and a metric without traffic has none.
    known = ADDED_LABELS | set(collector._labelnames)
    for matcher in matchers:
        label = matcher.partition("=")[0].rstrip("!~")
        if label not in known:
            raise ValueError(f"{family.name} has no label {label}; it has {', '.join(sorted(known))}")
    parts = {"counter": ("total",), "gauge": ("",), "summary": ("sum", "count")}
    allowed = parts.get(family.type, ("bucket", "sum", "count"))
    chosen = part or allowed[0]
    if chosen not in allowed:
        raise ValueError(f"{family.name} is a {family.type} without {part}; it has {', '.join(allowed)}")
    name = f"{family.name}_{chosen}" if chosen else family.name
    return f"{name}{{{', '.join(matchers)}}}" if matchers else name


def rate(selector: str) -> str:
    """Per-second rate over the dashboard's own interval."""
    return f"rate({selector}[{RANGE}])"


def quantile(share: float, histogram: Histogram, *matchers: str, by: str = "variant") -> str:
    """A quantile of a histogram, by one label."""
    buckets = rate(select(histogram, *matchers, part="bucket"))
    return f"histogram_quantile({share}, sum by (le, {by}) ({buckets}))"


def mean(histogram: Histogram | Summary, *matchers: str, by: str = "variant") -> str:
    """Mean of a histogram or summary, by one label."""
    total = rate(select(histogram, *matchers, part="sum"))
    count = rate(select(histogram, *matchers, part="count"))
    return f"sum by ({by}) ({total}) / sum by ({by}) ({count})"
