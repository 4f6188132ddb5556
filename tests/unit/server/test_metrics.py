"""Names, prefixes and labels of the metrics are a contract with dashboards and alerts."""

from __future__ import annotations

from server.metrics import Metrics, finish_label

BOUNDED = {
    *("experiment", "route", "variant", "code", "finish_reason", "reason", "state"),
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


def test_two_apps_do_not_share_metrics() -> None:
    one, other = Metrics(), Metrics()
    one.aborted.labels("a").inc()
    assert other.registry.get_sample_value("bitloom_requests_aborted_total", {"variant": "a"}) is None


def test_finish_reasons_are_bounded() -> None:
    assert [finish_label(reason) for reason in ("stop", None, "x" * 99)] == ["stop", "none", "other"]
