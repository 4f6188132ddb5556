"""OpenTelemetry traces of requests, after the GenAI semantic conventions; nothing where none is configured.

Spans hold names, counts and times, never prompts or answers.
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Protocol

from bitloom.errors import InputError
from server.config import TracingConfig
from server.experiments.outcome import Outcome

NANO = 1_000_000_000


class Span(Protocol):
    """The span of one request."""

    def headers(self) -> Mapping[str, str]:
        """Headers that make the worker's spans children of this one."""

    def end(self, outcome: Outcome) -> None:
        """The request ended."""


class Tracer(Protocol):
    """Begins spans."""

    def begin(self, operation: str, request_id: str, traceparent: str | None) -> Span:
        """Span of a request that begins now; `traceparent` is the client's (W3C Trace Context)."""

    def close(self) -> None:
        """Send what is left."""


class NoSpan:
    """The span of a request that is not traced."""

    def headers(self) -> Mapping[str, str]:
        """None."""
        return {}

    def end(self, outcome: Outcome) -> None:
        """Nothing to tell."""


class NoTracer:
    """The tracer of a server without an endpoint."""

    _span = NoSpan()

    def begin(self, operation: str, request_id: str, traceparent: str | None) -> Span:  # noqa: ARG002
        """The span that does nothing."""
        return self._span

    def close(self) -> None:
        """Nothing is left."""


def check_tracing(config: TracingConfig | None) -> None:
    """Raise InputError where traces are asked for and the SDK is not installed; imports nothing."""
    if config is None:
        return
    for distribution in ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"):
        try:
            metadata.version(distribution)
        except metadata.PackageNotFoundError as exc:
            raise InputError(
                f"tracing to {config.endpoint} needs {distribution}; install it (bitloom[otel]), or "
                "remove `tracing`"
            ) from exc


def make_tracer(config: TracingConfig | None) -> Tracer:
    """Tracer for an endpoint, the one that does nothing without."""
    if config is None:
        return NoTracer()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(
        resource=Resource.create({"service.name": config.service_name}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=config.endpoint)))
    return OtelTracer(provider)


class OtelTracer:
    """Tracer over an OpenTelemetry provider, which it owns."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("bitloom.gateway")
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, operation: str, request_id: str, traceparent: str | None) -> Span:
        """A server span, child of the client's where it sent one."""
        from opentelemetry.trace import SpanKind

        context = self._propagator.extract({} if traceparent is None else {"traceparent": traceparent})
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "bitloom",
            "bitloom.request_id": request_id,
        }
        span = self._tracer.start_span(
            operation, context, SpanKind.SERVER, attributes, start_time=time.time_ns()
        )
        return OtelSpan(span, self._propagator)

    def close(self) -> None:
        """Send what is left and end the exporter's thread."""
        self._provider.shutdown()


class OtelSpan:
    """A span that ends with its request's outcome."""

    def __init__(self, span: Any, propagator: Any) -> None:
        self._span = span
        self._propagator = propagator

    def headers(self) -> Mapping[str, str]:
        """W3C `traceparent` of this span."""
        from opentelemetry.trace import set_span_in_context

        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(self._span))
        return carrier

    def end(self, outcome: Outcome) -> None:
        """Name the span after what was served, say how it went, end it."""
        from opentelemetry.trace import Status, StatusCode

        assignment = outcome.assignment
        operation = self._span.attributes["gen_ai.operation.name"]
        self._span.update_name(f"{operation} {assignment.route}")
        self._span.set_attributes(
            {key: value for key, value in _attributes(outcome).items() if value is not None}
        )
        if outcome.is_error:
            self._span.set_attribute(
                "error.type", str(outcome.code) if outcome.code >= 500 else "stream_error"
            )
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _attributes(outcome: Outcome) -> dict[str, Any]:
    assignment = outcome.assignment
    return {
        "gen_ai.request.model": assignment.route,
        "gen_ai.response.model": assignment.variant,
        "gen_ai.response.finish_reasons": [outcome.finish_reason] if outcome.finish_reason else None,
        "gen_ai.usage.input_tokens": outcome.prompt_tokens,
        "gen_ai.usage.output_tokens": outcome.generated_tokens,
        "gen_ai.response.time_to_first_chunk": outcome.ttft_s,
        "http.response.status_code": outcome.code,
        "bitloom.variant": assignment.variant,
        "bitloom.experiment": assignment.experiment,
        "bitloom.departure": assignment.departure,
        "bitloom.aborted": outcome.is_aborted or None,
    }
