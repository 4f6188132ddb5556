"""Pages of several workers become one valid page."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from server.app.worker_metrics import merge_pages


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
