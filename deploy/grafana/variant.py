"""Variant: memory, KV cache, latency heat map, and the engine's own view of itself."""

from __future__ import annotations

from deploy.grafana.panel import Dashboard, Panel, Query, Variable
from deploy.grafana.selector import mean, quantile, rate, select
from server.metrics import Metrics

# vLLM 0.32's own names (vllm/v1/metrics/loggers.py); a test finds each in the scrape of a real engine.
KV_CACHE = "vllm:kv_cache_usage_perc"
RUNNING = "vllm:num_requests_running"
WAITING = "vllm:num_requests_waiting"
PREEMPTIONS = "vllm:num_preemptions_total"
PREFIX_HITS = "vllm:prefix_cache_hits_total"
PREFIX_QUERIES = "vllm:prefix_cache_queries_total"
IMAGE_HITS = "vllm:mm_cache_hits_total"
IMAGE_QUERIES = "vllm:mm_cache_queries_total"
ENGINE_TTFT = "vllm:time_to_first_token_seconds_bucket"
PREFILL = "vllm:request_prefill_time_seconds_bucket"
DECODE = "vllm:request_decode_time_seconds_bucket"
ENGINE_QUEUE = "vllm:request_queue_time_seconds_bucket"

ONE = 'variant="$variant"'


def variant(metrics: Metrics) -> Dashboard:
    """What one variant does."""
    states = select(metrics.variant_state)
    return Dashboard(
        "bitloom-variant",
        "Bitloom: variant",
        "One variant: the gateway's view above, the engine's own below.",
        (Variable("variant", states, "variant"),),
        (*_lifecycle(metrics), *_latency(metrics), *_tokens(metrics), *_engine()),
    )


def _lifecycle(metrics: Metrics) -> tuple[Panel, ...]:
    return (
        Panel(
            "State",
            "1 for the state that the variant is in.",
            (Query(f"max by (state) ({select(metrics.variant_state, ONE)})", "{{state}}"),),
            width=8,
        ),
        Panel(
            "Last load",
            "Start of the worker to its first healthy answer.",
            (Query(f"max ({select(metrics.variant_load, ONE)})"),),
            "s",
            "stat",
            width=8,
        ),
        Panel(
            "Memory",
            "Resident set of the worker and its children.",
            (Query(f"sum by (instance) ({select(metrics.memory_used, ONE)})", "{{instance}}"),),
            "bytes",
            width=8,
        ),
    )


def _latency(metrics: Metrics) -> tuple[Panel, ...]:
    buckets = rate(select(metrics.request_latency, ONE, part="bucket"))
    return (
        Panel(
            "Latency heat map",
            "Whole answers, by how long they took.",
            (Query(f"sum by (le) ({buckets})"),),
            "s",
            "heatmap",
        ),
        Panel(
            "Between chunks, p50 and p95",
            "Gaps between chunks with content.",
            (
                Query(quantile(0.5, metrics.inter_token_latency, ONE), "p50"),
                Query(quantile(0.95, metrics.inter_token_latency, ONE), "p95"),
            ),
            "s",
        ),
    )


def _tokens(metrics: Metrics) -> tuple[Panel, ...]:
    return (
        Panel(
            "Tokens a second",
            "Prompt, images, generated; where answers report their usage.",
            (
                Query(f"sum ({rate(select(metrics.prompt_tokens, ONE))})", "prompt"),
                Query(f"sum ({rate(select(metrics.image_tokens, ONE))})", "images"),
                Query(f"sum ({rate(select(metrics.generated_tokens, ONE))})", "generated"),
            ),
        ),
        Panel(
            "Answers that are none",
            "Without content, broken after they began, left by their client.",
            (
                Query(f"sum ({rate(select(metrics.empty_outputs, ONE))})", "empty"),
                Query(f"sum ({rate(select(metrics.stream_errors, ONE))})", "broken"),
                Query(f"sum ({rate(select(metrics.aborted, ONE))})", "left"),
            ),
            "reqps",
        ),
        Panel(
            "Finish reasons",
            "How answers ended; a rise of `length` means that answers are cut.",
            (Query(f"sum by (finish_reason) ({rate(select(metrics.requests, ONE))})", "{{finish_reason}}"),),
            "reqps",
        ),
        Panel(
            "Mean first token",
            "Arrival to the first chunk with content, all routes.",
            (Query(mean(metrics.time_to_first_token, ONE), "gateway"),),
            "s",
        ),
    )


def _engine() -> tuple[Panel, ...]:
    return (
        Panel(
            "KV cache",
            "Share of the engine's KV cache in use; at 1 requests wait or are preempted.",
            (Query(f"max by (variant) ({KV_CACHE}{{{ONE}}})", "used"),),
            "percentunit",
        ),
        Panel(
            "Engine queue",
            "vLLM's running and waiting requests, and preemptions in 5 minutes.",
            (
                Query(f"sum ({RUNNING}{{{ONE}}})", "running"),
                Query(f"sum ({WAITING}{{{ONE}}})", "waiting"),
                Query(f"sum (increase({PREEMPTIONS}{{{ONE}}}[5m]))", "preempted"),
            ),
        ),
        Panel(
            "Engine time, p95",
            "vLLM's own: waiting, prefill (the vision tower is in it), decode, first token.",
            tuple(
                Query(f"histogram_quantile(0.95, sum by (le) ({rate(f'{name}{{{ONE}}}')}))", legend)
                for name, legend in (
                    (ENGINE_QUEUE, "queue"),
                    (PREFILL, "prefill"),
                    (DECODE, "decode"),
                    (ENGINE_TTFT, "first token"),
                )
            ),
            "s",
        ),
        Panel(
            "Engine caches",
            "Share of prompt tokens and of images that were found in vLLM's caches.",
            tuple(
                Query(f"sum ({rate(f'{hits}{{{ONE}}}')}) / sum ({rate(f'{queries}{{{ONE}}}')})", legend)
                for hits, queries, legend in (
                    (PREFIX_HITS, PREFIX_QUERIES, "prompt"),
                    (IMAGE_HITS, IMAGE_QUERIES, "images"),
                )
            ),
            "percentunit",
        ),
    )
