"""Pages of several workers become one valid page."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from server.app.worker_metrics import merge_pages, note


def page(amount: int) -> str:
    registry = CollectorRegistry()
    Counter("vllm:tokens", "Tokens.", ["reason"], registry=registry).labels('odd "}, label').inc(amount)
    Histogram("vllm:latency_seconds", "Latency.", registry=registry).observe(amount)
    return generate_latest(registry).decode()


def test_samples_keep_names_and_values_and_gain_the_variant() -> None:
    merged = merge_pages({"a": page(1), "b": page(2)})
    families = {family.name: family for family in text_string_to_metric_families(merged)}
    tokens = [sample for sample in families["vllm:tokens"].samples if sample.name.endswith("_total")]
    assert [(sample.labels["variant"], sample.value) for sample in tokens] == [("a", 1), ("b", 2)]
    assert {sample.labels["reason"] for sample in tokens} == {'odd "}, label'}
    assert merged.count("# TYPE vllm:latency_seconds histogram") == 1
    single = [family.name for family in text_string_to_metric_families(page(1))]
    assert sorted(families) == sorted(single)


def test_what_is_no_metric_is_dropped() -> None:
    assert merge_pages({"a": "<html>\n\n# EOF\n", "b": ""}) == ""
    assert merge_pages({"a": "up 1\n"}) == 'up{variant="a"} 1\n'


def test_a_sample_without_a_header_is_a_family_of_its_own() -> None:
    text = "# TYPE a_total counter\na_total 1\nb 2\n"
    lines = merge_pages({"x": text, "y": text}).splitlines()
    assert lines[1:] == [
        'a_total{variant="x"} 1',
        'a_total{variant="y"} 1',
        'b{variant="x"} 2',
        'b{variant="y"} 2',
    ]


class Silent:
    """A worker, as far as its metrics go."""

    variant = SimpleNamespace(name="a")


def test_a_scrape_that_fails_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    worker: Any = Silent()
    with caplog.at_level(logging.INFO):
        for text in ("", "", "up 1\n", "up 1\n", ""):
            note(worker, text)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]
    assert "the worker of a gives no metrics" in caplog.records[0].message
