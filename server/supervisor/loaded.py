"""What a worker's model takes in memory, in the gateway's metrics, beside what was predicted."""

from __future__ import annotations

from collections.abc import Mapping

from bitloom.memory import LoadedMemory
from bitloom.plan import COMPONENTS, Component
from server.metrics import Metrics


def show(metrics: Metrics, variant: str, memory: LoadedMemory, predicted: Mapping[Component, int]) -> None:
    """Say what a variant's model takes, and what it should."""
    hide(metrics, variant)
    for component, count in memory.weights.items():
        metrics.weight_bytes.labels(variant, component).set(count)
    for component, count in predicted.items():
        metrics.predicted_weight_bytes.labels(variant, component).set(count)
    if memory.resident_bytes is not None:
        metrics.loaded_resident_bytes.labels(variant).set(memory.resident_bytes)
    if memory.peak_bytes is not None:
        metrics.loaded_peak_bytes.labels(variant).set(memory.peak_bytes)


def hide(metrics: Metrics, variant: str) -> None:
    """Say nothing of a variant any more."""
    for component in COMPONENTS:
        metrics.weight_bytes.remove(variant, component)
        metrics.predicted_weight_bytes.remove(variant, component)
    metrics.loaded_resident_bytes.remove(variant)
    metrics.loaded_peak_bytes.remove(variant)
