"""All Prometheus metrics of the gateway: prefix `bitloom_`, base units, bounded labels.

Labels are `experiment`, `route`, `variant`, `component`, `code`, `reason`, `outcome`, `state`; never a user,
key or request id.
The workers' own metrics are not here: they keep their names.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest

from bitloom.memory import PEAK, PREDICTED, RESIDENT, WEIGHTS

# vLLM's own boundaries (vllm/v1/metrics/buckets.py, 0.32), so that gateway and engine can be compared.
TTFT_BUCKETS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
ITL_BUCKETS = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
LATENCY_BUCKETS = tuple(0.01 * 2**exponent for exponent in range(14))
OVERHEAD_BUCKETS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.064, 0.256, 1.024)
FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call", "abort"})


def finish_label(reason: str | None) -> str:
    """A finish reason as a bounded label: "none" where the answer had none, "other" for a new one."""
    if reason is None:
        return "none"
    return reason if reason in FINISH_REASONS else "other"


class Metrics:
    """The gateway's metrics in a registry of their own, one instance an app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._declare_experiments()
        self._declare_traffic()
        self._declare_latency()
        self._declare_lifecycle()

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"bitloom_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"bitloom_{name}", text, labels, registry=self.registry)

    def _seconds(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(
            f"bitloom_{name}_seconds", text, labels or ("route", "variant"), buckets=buckets,
            registry=self.registry,
        )  # fmt: skip

    def _media_seconds(self, name: str, text: str) -> Histogram:
        """Media are read before they reach a variant, so these have no labels."""
        return Histogram(f"bitloom_{name}_seconds", text, buckets=TTFT_BUCKETS, registry=self.registry)

    def _declare_experiments(self) -> None:
        self.assignments = self._counter(
            "assignments_total", "Requests for which an arm was chosen.", "experiment", "variant"
        )
        self.arm_weight = self._gauge(
            "arm_weight",
            "Share of an experiment's traffic that an arm gets, 0 to 1.",
            "experiment",
            "variant",
        )
        self.departures = self._counter(
            "served_other_than_assigned_total",
            "Requests that another variant served than the unit's arm: pinned, rolled_back, unavailable.",
            "reason",
        )
        self.shadow_requests = self._counter(
            "shadow_requests_total",
            "Copies of requests for a shadow variant: sent, dropped, failed.",
            "outcome",
        )
        self.shadow_agreement = self._gauge(
            "shadow_agreement_ratio",
            "Share of a shadow's answers that equal the answer given, since the gateway started.",
            "experiment",
            "variant",
        )
        self.rollbacks = self._counter(
            "rollbacks_total", "Arms whose weight was moved back to control.", "reason"
        )
        self.feedback_scores = Summary(
            "bitloom_feedback_score",
            "Scores that clients gave answers, each 0 to 1.",
            ("experiment", "variant"),
            registry=self.registry,
        )
        self.feedback = self._counter(
            "feedback_total",
            "Scores received, corrections of earlier ones included.",
            "experiment",
            "variant",
        )

    def _declare_traffic(self) -> None:
        self.requests = self._counter(
            "requests_total", "Requests sent to a variant.", "route", "variant", "code", "finish_reason"
        )
        self.rejected = self._counter(
            "requests_rejected_total", "Requests refused before any worker saw them.", "reason"
        )
        self.aborted = self._counter(
            "requests_aborted_total", "Requests whose client went away before the answer ended.", "variant"
        )
        self.stream_errors = self._counter(
            "stream_errors_total", "Streams that ended in an error after they had begun.", "variant"
        )
        self.prompt_tokens = self._counter(
            "prompt_tokens_total", "Prompt tokens, where the answer reports its usage.", "variant"
        )
        self.image_tokens = self._counter(
            "image_tokens_total",
            "Prompt tokens that stand for images, where the answer reports them.",
            "variant",
        )
        self.generated_tokens = self._counter(
            "generated_tokens_total", "Generated tokens, where the answer reports its usage.", "variant"
        )
        self.empty_outputs = self._counter(
            "empty_outputs_total", "Complete answers without any content.", "variant"
        )
        self.in_flight = self._gauge("requests_in_flight", "Requests at the worker now.", "variant")
        self.queued = self._gauge(
            "requests_queued", "Requests that wait for a place at the worker.", "variant"
        )

    def _declare_latency(self) -> None:
        self.time_to_first_token = self._seconds(
            "time_to_first_token", "Arrival to the first chunk with content, streams only.", TTFT_BUCKETS
        )
        self.inter_token_latency = self._seconds(
            "inter_token_latency", "Between chunks with content, streams only.", ITL_BUCKETS
        )
        self.time_per_output_token = self._seconds(
            "time_per_output_token",
            "First chunk with content to the last, over the tokens after the first; streams with usage.",
            ITL_BUCKETS,
        )
        self.request_latency = self._seconds(
            "request_latency", "Arrival to the end of the answer.", LATENCY_BUCKETS
        )
        self.gateway_overhead = self._seconds(
            "gateway_overhead", "Body read to the worker being asked, media included.", OVERHEAD_BUCKETS
        )
        self.queue_wait = self._seconds("queue_wait", "Waiting for a place at the worker.", TTFT_BUCKETS)
        self.image_fetch = self._media_seconds("image_fetch", "Fetching one image from its URL.")
        self.image_decode = self._media_seconds(
            "image_decode", "Decoding and re-encoding the images of one request."
        )

    def _declare_loaded_memory(self) -> None:
        """What `bitloom.memory` reads."""
        own, parts = ("variant",), ("variant", "component")
        self.weight_bytes = self._gauge(
            WEIGHTS, "Bytes of a component's tensors in memory, as the worker says after loading.", *parts
        )
        self.predicted_weight_bytes = self._gauge(
            PREDICTED, "Bytes that a component's tensors should take, by the variant's manifest.", *parts
        )
        self.loaded_resident_bytes = self._gauge(
            RESIDENT, "Resident set of the worker when its model was loaded, as it says.", *own
        )
        self.loaded_peak_bytes = self._gauge(
            PEAK, "Largest resident set of a process of the worker until its model was loaded.", *own
        )

    def _declare_lifecycle(self) -> None:
        self.variant_state = self._gauge(
            "variant_state", "1 for the state that the variant is in, else 0.", "variant", "state"
        )
        self.variant_load = self._gauge(
            "variant_load_seconds", "Start of the worker to its first healthy answer, last start.", "variant"
        )
        self.worker_restarts = self._counter(
            "worker_restarts_total", "Starts of a worker after it was lost.", "variant"
        )
        self.evictions = self._counter(
            "evictions_total", "Idle variants unloaded to make room for another.", "variant"
        )
        self.circuit_open = self._gauge(
            "circuit_open",
            "1 while requests for the variant are refused because it keeps failing.",
            "variant",
        )
        self.memory_budget = self._gauge(
            "memory_budget_bytes", "Memory that the variants may use in all, 0 where no limit is set."
        )
        self.memory_used = self._gauge(
            "memory_used_bytes", "Resident set of the worker and its child processes.", "variant"
        )
        self._declare_loaded_memory()
        self.variant_info = self._gauge(
            "variant_info", "What is served.", "variant", "plan", "checkpoint_sha256", "bpw"
        )
