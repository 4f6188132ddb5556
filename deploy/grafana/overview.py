"""Overview: is everything up, how much traffic, how fast, what fails."""

from __future__ import annotations

from deploy.grafana.panel import Dashboard, Panel, Query
from deploy.grafana.selector import quantile, rate, select
from server.metrics import Metrics


def overview(metrics: Metrics) -> Dashboard:
    """The first page to look at."""
    return Dashboard(
        "bitloom-overview",
        "Bitloom: overview",
        "All variants of all gateways.",
        (),
        (*_health(metrics), *_traffic(metrics), *_gateway(metrics)),
    )


def _health(metrics: Metrics) -> tuple[Panel, ...]:
    ready = select(metrics.variant_state, 'state="ready"')
    return (
        Panel(
            "Ready",
            "Gateways that have the variant ready; 0 is an outage of the variant.",
            (Query(f"sum by (variant) ({ready})", "{{variant}}"),),
            kind="stat",
            width=8,
        ),
        Panel(
            "Firing alerts",
            "What they mean and what to do: docs/guides/watch.md.",
            (Query('count by (alertname, severity) (ALERTS{alertname=~"Bitloom.*", alertstate="firing"})'),),
            kind="table",
            width=8,
        ),
        Panel(
            "Served variants",
            "Plan, checkpoint and bits per weight of what runs.",
            (Query(f"max by (variant, plan, bpw) ({select(metrics.variant_info)})"),),
            kind="table",
            width=8,
        ),
    )


def _traffic(metrics: Metrics) -> tuple[Panel, ...]:
    by_variant = "{{variant}}"
    rejected = rate(select(metrics.rejected))
    return (
        Panel(
            "Requests",
            "Requests sent to each variant.",
            (Query("variant:bitloom_requests:rate5m", by_variant),),
            "reqps",
        ),
        Panel(
            "Errors",
            "Share of answers 5xx and broken streams; BitloomErrorRate fires above 5 %.",
            (Query("variant:bitloom_error_ratio:rate5m", by_variant),),
            "percentunit",
        ),
        Panel(
            "First token, p50 and p95",
            "Arrival to the first chunk with content; the objective is 99 % within 2.5 s.",
            (
                Query(quantile(0.5, metrics.time_to_first_token), "p50 {{variant}}"),
                Query(quantile(0.95, metrics.time_to_first_token), "p95 {{variant}}"),
            ),
            "s",
        ),
        Panel(
            "Burn of the first-token objective",
            "1 spends the allowed 1 % exactly; the fast alert fires at 14.4, the slow one at 6.",
            (Query("variant:bitloom_ttft_burn:1h", by_variant),),
        ),
        Panel(
            "Refused before a worker saw them",
            "Requests refused, by reason: keys, limits, images, queue.",
            (Query(f"sum by (reason) ({rejected})", "{{reason}}"),),
            "reqps",
        ),
        Panel(
            "Generated tokens",
            "Tokens a second, where answers report their usage.",
            (Query("variant:bitloom_generated_tokens:rate5m", by_variant),),
        ),
    )


def _gateway(metrics: Metrics) -> tuple[Panel, ...]:
    return (
        Panel(
            "In flight and queued",
            "Requests at each worker, and those that wait for a place.",
            (
                Query(f"sum by (variant) ({select(metrics.in_flight)})", "in flight {{variant}}"),
                Query(f"sum by (variant) ({select(metrics.queued)})", "queued {{variant}}"),
            ),
        ),
        Panel(
            "What the gateway adds, p95",
            "Body read to the worker being asked, images included; and the waiting for a place.",
            (
                Query(quantile(0.95, metrics.gateway_overhead), "overhead {{variant}}"),
                Query(quantile(0.95, metrics.queue_wait), "queue {{variant}}"),
                Query(quantile(0.95, metrics.image_decode, by="job"), "images"),
            ),
            "s",
        ),
        Panel(
            "Memory against the budget",
            "Resident set of the workers with their children; BitloomMemoryOverBudget fires above the line.",
            (
                Query("instance:bitloom_memory_used_bytes:sum", "used {{instance}}"),
                Query(f"{select(metrics.memory_budget)} > 0", "budget {{instance}}"),
            ),
            "bytes",
        ),
        Panel(
            "Restarts, evictions, open circuits",
            "Workers that came back, idle variants unloaded, variants that are refused because they fail.",
            (
                Query(
                    f"sum by (variant) (increase({select(metrics.worker_restarts)}[15m]))",
                    "restarts {{variant}}",
                ),
                Query(
                    f"sum by (variant) (increase({select(metrics.evictions)}[15m]))", "evictions {{variant}}"
                ),
                Query(f"max by (variant) ({select(metrics.circuit_open)})", "circuit {{variant}}"),
            ),
        ),
    )
