"""What a run found, as a table on a terminal."""

from __future__ import annotations

from rich.table import Table

from bitloom.results import LatencyPass, MemoryUse, Quantiles, RunManifest, Score

MIB = 2**20
QUANTILES = "p50 / p90 / p99"


def run_summary(run: RunManifest) -> Table:
    """Scores with intervals, latency of each timed pass, memory, failures and notes of one run."""
    table = Table(title=f"{run.model} on {run.plan.dataset}", caption=_caption(run), caption_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("samples", justify="right")
    for score in run.scores:
        table.add_row(score.name, f"{score.value:.4f}", score_interval(score), str(score.samples))
    for timed in run.latency:
        _add_latency(table, timed)
    if run.memory is not None:
        memory = run.memory
        table.add_section()
        table.add_row("memory, peak", f"{memory.peak_resident_bytes / MIB:.0f} MiB", "", str(memory.samples))
        table.add_row("memory, mean", f"{memory.mean_resident_bytes / MIB:.0f} MiB", "", str(memory.samples))
        for label, value in _loaded_rows(memory).items():
            table.add_row(label, value, "", "")
    return table


def score_interval(score: Score) -> str:
    """`0.81 .. 0.87`, or nothing where the score has no interval."""
    if score.low is None or score.high is None:
        return ""
    return f"{score.low:.4f} .. {score.high:.4f}"


def milliseconds(quantiles: Quantiles | None) -> str:
    """p50 / p90 / p99 in milliseconds."""
    if quantiles is None:
        return "-"
    return " / ".join(f"{value * 1000:.1f}" for value in (quantiles.p50, quantiles.p90, quantiles.p99))


def latency_rows(timed: LatencyPass) -> list[tuple[str, str]]:
    """Name and value of every figure of a timed pass."""
    return [
        ("TTFT, ms", milliseconds(timed.time_to_first_token_s)),
        ("inter-token, ms", milliseconds(timed.inter_token_s)),
        ("TPOT, ms", milliseconds(timed.time_per_output_token_s)),
        ("request, ms", milliseconds(timed.request_latency_s)),
        ("generated tokens/s", _number(timed.generated_tokens_per_s)),
        ("requests/s", _number(timed.requests_per_s)),
        *_load_rows(timed),
    ]


def memory_rows(memory: MemoryUse | None) -> dict[str, str]:
    """Peak and mean of everything that was measured, by name."""
    if memory is None:
        return {}
    sizes: dict[str, tuple[float | None, float | None]] = {
        "resident, MiB": (memory.peak_resident_bytes, memory.mean_resident_bytes),
        "proportional, MiB": (memory.peak_proportional_bytes, memory.mean_proportional_bytes),
        "GPU, MiB": (memory.peak_gpu_bytes, memory.mean_gpu_bytes),
    }
    rows = {
        name: f"{peak / MIB:.0f} / {mean / MIB:.0f}"
        for name, (peak, mean) in sizes.items()
        if peak is not None and mean is not None
    }
    share, mean_share = memory.peak_kv_cache_share, memory.mean_kv_cache_share
    if share is not None and mean_share is not None:
        rows["KV cache, share in use"] = f"{share:.3f} / {mean_share:.3f}"
    return rows | _loaded_rows(memory) | {"read from": memory.source}


def _loaded_rows(memory: MemoryUse) -> dict[str, str]:
    """What the model took when it was loaded, as its worker says, and what its manifest predicts of it."""
    rows = {}
    for name, part in memory.weights.items():
        predicted = "-" if part.predicted_bytes is None else f"{part.predicted_bytes / MIB:.1f}"
        rows[f"{name} weights loaded, MiB (predicted)"] = f"{part.loaded_bytes / MIB:.1f} ({predicted})"
    for label, value in (
        ("resident when loaded, MiB", memory.loaded_resident_bytes),
        ("peak while loading, MiB", memory.loaded_peak_bytes),
    ):
        if value is not None:
            rows[label] = f"{value / MIB:.0f}"
    return rows


def _load_rows(timed: LatencyPass) -> list[tuple[str, str]]:
    """What only a pass by the clock, or one with bounds, has."""
    rows = []
    if timed.rate_per_s is not None:
        rows.append((f"{timed.arrivals} arrivals/s", f"{timed.rate_per_s:g}"))
        rows.append(("queued in the client, ms", milliseconds(timed.queued_s)))
    if timed.good is not None:
        bounds = ", ".join(f"{name} {bound:g} s" for name, bound in timed.slo.items())
        rows.append((f"good requests/s ({bounds})", _number(timed.goodput_per_s)))
        rows.append(("good requests", f"{timed.good} of {timed.requests}"))
    return rows


def _add_latency(table: Table, timed: LatencyPass) -> None:
    table.add_section()
    answered = str(timed.requests - timed.failed)
    table.add_row(f"timed, {timed.concurrency} at a time", QUANTILES, "", answered)
    for name, value in latency_rows(timed):
        table.add_row(f"  {name}", value, "", "")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _caption(run: RunManifest) -> str:
    modes = ", ".join(f"{name}: {mode}" for name, mode in run.plan.modes.items())
    parts = [f"{run.requests} requests, {run.failed} failed, {run.retried} retried"]
    parts += [f"prompts: {run.plan.prompts['name']}", modes]
    return "\n".join([*parts, *run.notes])
