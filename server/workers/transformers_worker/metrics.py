"""Everything this worker measures of itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bitloom.memory import LoadedMemory
from server.workers.memory import publish

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class WorkerMetrics:
    """The worker's metrics in a registry of their own."""

    def __init__(self, memory: LoadedMemory) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Counter(
            "bitloom_worker_requests", "Requests by outcome.", ["outcome"], registry=registry
        )
        self.prompt_tokens = Counter(
            "bitloom_worker_prompt_tokens", "Tokens read, images included.", registry=registry
        )
        self.generation_tokens = Counter(
            "bitloom_worker_generation_tokens", "Tokens written.", registry=registry
        )
        self.running = Gauge(
            "bitloom_worker_requests_running", "Requests waiting or being answered.", registry=registry
        )
        publish(memory, registry)
        self.first_token_seconds = Histogram(
            "bitloom_worker_first_token_seconds",
            "From the request to its first token.",
            buckets=SECONDS,
            registry=registry,
        )
        self.request_seconds = Histogram(
            "bitloom_worker_request_seconds",
            "From the request to the end of its answer.",
            buckets=SECONDS,
            registry=registry,
        )
