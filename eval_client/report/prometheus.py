"""A report's figures for dashboards: a text file for the node exporter's textfile collector, or a push.

Everything is a gauge: figures of finished runs, labelled by model and data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest, push_to_gateway

from bitloom.errors import EndpointError
from bitloom.results import LatencyPass, Quantiles
from eval_client.report.runs import ReportRun

JOB = "bitloom_eval"
_RUN = ("model", "dataset")
_PUSH_S = 10.0


def prometheus_text(runs: Sequence[ReportRun]) -> str:
    """The exposition text of some runs."""
    return generate_latest(registry_of(runs)).decode()


def push(runs: Sequence[ReportRun], url: str) -> None:
    """Send the figures to a Pushgateway, in place of what it has of the job `bitloom_eval`.

    Raises EndpointError where it does not take them.
    """
    try:
        push_to_gateway(url, job=JOB, registry=registry_of(runs), timeout=_PUSH_S)
    except (OSError, ValueError) as exc:
        raise EndpointError(
            f"--prometheus {url}: the figures were not taken ({exc}); give a Pushgateway's URL, or a file"
        ) from exc


def registry_of(runs: Sequence[ReportRun]) -> CollectorRegistry:
    """Gauges of some runs."""
    registry = CollectorRegistry()
    score = _gauge(registry, "score", "Score of a run; CIDEr is between 0 and 10.", "task", "score")
    low = _gauge(registry, "score_low", "Lower end of the score's 95 % interval.", "task", "score")
    high = _gauge(registry, "score_high", "Upper end of the score's 95 % interval.", "task", "score")
    latency = _gauge(
        registry, "latency_seconds", "Latency in the timed passes.", "concurrency", "figure", "quantile"
    )
    requests = _gauge(registry, "requests", "Requests of the quality pass.", "state")
    peak = _gauge(registry, "memory_peak_bytes", "Peak resident memory of the serving processes.")
    stored = _gauge(registry, "stored_bytes", "Stored bytes of the model's weights.")
    finished = _gauge(registry, "finished_timestamp_seconds", "When the run was finished.")
    for run in runs:
        manifest, own = run.manifest, (run.name, run.manifest.plan.dataset)
        for each in manifest.scores:
            score.labels(*own, each.task, each.name).set(each.value)
            if each.low is not None and each.high is not None:
                low.labels(*own, each.task, each.name).set(each.low)
                high.labels(*own, each.task, each.name).set(each.high)
        for timed in manifest.latency:
            _set_latency(latency, own, timed)
        requests.labels(*own, "failed").set(manifest.failed)
        requests.labels(*own, "answered").set(manifest.requests - manifest.failed)
        if manifest.memory is not None:
            peak.labels(*own).set(manifest.memory.peak_resident_bytes)
        if run.size is not None:
            stored.labels(*own).set(run.size.stored_bytes)
        finished.labels(*own).set(datetime.fromisoformat(manifest.provenance.created_at).timestamp())
    return registry


def _gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"bitloom_eval_{name}", text, (*_RUN, *labels), registry=registry)


def _set_latency(latency: Gauge, own: tuple[str, str], timed: LatencyPass) -> None:
    figures: dict[str, Quantiles | None] = {
        "ttft": timed.time_to_first_token_s,
        "tpot": timed.time_per_output_token_s,
        "request": timed.request_latency_s,
    }
    for name, quantiles in figures.items():
        if quantiles is not None:
            for label, value in (("0.5", quantiles.p50), ("0.9", quantiles.p90), ("0.99", quantiles.p99)):
                latency.labels(*own, str(timed.concurrency), name, label).set(value)
