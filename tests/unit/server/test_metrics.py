"""Names, prefixes and labels of the metrics are a contract with dashboards and alerts."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from server.metrics import Metrics, finish_label

BOUNDED = {
    *("experiment", "route", "variant", "code", "finish_reason", "reason", "outcome", "state"),
    *("plan", "checkpoint_sha256", "bpw"),
}


def test_prefix_units_and_labels() -> None:
    for family in Metrics().registry.collect():
        assert family.name.startswith("bitloom_")
        assert family.documentation.endswith(".")
        assert not family.name.endswith("_total")  # added by the client library, to counters only
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        for sample in family.samples:
            assert set(sample.labels) <= BOUNDED | {"le"}


SHARED = Path(os.environ.get("BITLOOM_SHARED", Path(__file__).resolve().parents[4] / "shared"))
TABLE = SHARED / "SERVER_METRICS.md"


def promised() -> dict[str, set[str] | None]:
    """Series name without suffixes: its labels, None where the table leaves them open."""
    names: dict[str, set[str] | None] = {}
    for row in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        if len(cells) != 2 or cells[0] == "family" or cells[0].startswith("-"):
            continue
        suffix = "_seconds" if cells[0].startswith("latency") else ""
        for name, labels in re.findall(r"`([a-z_]+)(?:\{([a-z0-9_,]+)\})?`", cells[1]):
            names[f"bitloom_{name}{suffix}"] = set(labels.split(",")) if labels else None
    return names


@pytest.mark.skipif(not TABLE.exists(), reason=f"the table of promised metrics is not at {TABLE}")
def test_every_promised_metric_exists_with_its_labels() -> None:
    families = {}
    for name, collector in vars(Metrics()).items():
        if name != "registry":
            labels = set(collector._labelnames)
            family = collector.describe()[0]
            suffix = {"counter": "_total", "summary": "_sum"}.get(family.type, "")
            families[family.name + suffix] = labels
    wanted = promised()
    assert len(wanted) >= 34
    assert set(wanted) - set(families) == set()
    for name, named in wanted.items():
        assert named is None or families[name] == named, name


def test_two_apps_do_not_share_metrics() -> None:
    one, other = Metrics(), Metrics()
    one.aborted.labels("a").inc()
    assert other.registry.get_sample_value("bitloom_requests_aborted_total", {"variant": "a"}) is None


def test_finish_reasons_are_bounded() -> None:
    assert [finish_label(reason) for reason in ("stop", None, "x" * 99)] == ["stop", "none", "other"]


def test_every_metric_is_updated_somewhere() -> None:
    """A declared metric that nothing updates is a promise broken in silence."""
    server = Path(__file__).resolve().parents[3] / "server"
    sources = [path.read_text(encoding="utf-8") for path in server.rglob("*.py") if path.name != "metrics.py"]
    updated = {name for source in sources for name in re.findall(r"metrics\.(\w+)", source)}
    assert set(vars(Metrics())) - {"registry"} - updated == set()
