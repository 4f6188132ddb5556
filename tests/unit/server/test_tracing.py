"""Spans follow the GenAI conventions, join the client's trace, and hold no text."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from typing import Any

import pytest

from bitloom.errors import InputError
from server.config import TracingConfig
from server.experiments.assignment import Assignment
from server.experiments.outcome import Outcome
from server.tracing import NoTracer, OtelTracer, check_tracing, make_tracer

pytest.importorskip("opentelemetry.sdk")

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
OUTCOME = Outcome(
    request_id="r1", assignment=Assignment("route", "w4", "route"), key_id="k", started_at=0.0, code=200,
    finish_reason="stop", is_error=False, is_aborted=False, is_empty=False, is_stream=True, ttft_s=0.2,
    latency_s=0.5, prompt_tokens=7, generated_tokens=3,
)  # fmt: skip


@pytest.fixture
def traced() -> tuple[OtelTracer, Any]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return OtelTracer(provider), exporter


def test_a_span_says_what_was_served(traced: tuple[OtelTracer, Any]) -> None:
    tracer, exporter = traced
    tracer.begin("chat", "r1", None).end(OUTCOME)
    (span,) = exporter.get_finished_spans()
    assert span.name == "chat route"
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "bitloom",
        "gen_ai.request.model": "route",
        "gen_ai.response.model": "w4",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.2,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "http.response.status_code": 200,
        "bitloom.request_id": "r1",
        "bitloom.variant": "w4",
        "bitloom.experiment": "route",
    }
    assert span.status.is_ok


def test_the_clients_trace_goes_through_to_the_worker(traced: tuple[OtelTracer, Any]) -> None:
    tracer, exporter = traced
    span = tracer.begin("chat", "r1", PARENT)
    traceparent = span.headers()["traceparent"]
    span.end(OUTCOME)
    (done,) = exporter.get_finished_spans()
    assert traceparent == f"00-{TRACE}-{done.context.span_id:016x}-01"
    assert f"{done.parent.span_id:016x}" == "b7ad6b7169203331"


def test_an_error_is_a_status(traced: tuple[OtelTracer, Any]) -> None:
    tracer, exporter = traced
    tracer.begin("chat", "r1", None).end(replace(OUTCOME, code=502, is_error=True))
    (span,) = exporter.get_finished_spans()
    assert not span.status.is_ok
    assert span.attributes["error.type"] == "502"


def test_without_an_endpoint_nothing_is_traced() -> None:
    tracer = make_tracer(None)
    assert isinstance(tracer, NoTracer)
    span = tracer.begin("chat", "r1", PARENT)
    assert span.headers() == {}
    span.end(OUTCOME)


def test_a_missing_sdk_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    check_tracing(None)
    with pytest.raises(InputError, match="needs opentelemetry-sdk; install it"):
        check_tracing(TracingConfig(endpoint="http://collector:4318/v1/traces"))
