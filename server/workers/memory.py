"""What a loaded model takes in this process: its tensors by component, the resident set, the peak.

glibc keeps what is freed for later use; a worker gives it back once its model is loaded (`release_freed`),
or the tensors of the checkpoint, read and repacked, would stay resident for good.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge

from bitloom.memory import PEAK, RESIDENT, WEIGHTS, WORKER_PREFIX, LoadedMemory, component_of
from bitloom.plan import COMPONENTS, Component
from server.supervisor.memory import KIB, TreeMemory, process_tree

if TYPE_CHECKING:
    from torch import nn

PAGE_BYTES = 4096


def tensor_bytes(model: nn.Module) -> dict[Component, int]:
    """Bytes of the model's parameters and buffers by component; shared storage counts once."""
    found: dict[Component, int] = dict.fromkeys(COMPONENTS, 0)
    seen: set[int] = set()
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    for name, tensor in named:
        if tensor.data_ptr() not in seen or not tensor.data_ptr():
            seen.add(tensor.data_ptr())
            found[component_of(name)] += tensor.nbytes
    return {component: count for component, count in found.items() if count}


def make_resident(model: nn.Module) -> None:
    """Read a byte of every page of the weights: a base's are mapped from its file and come when they are
    used, so that the first request would wait for them, and the resident set say nothing of them."""
    import torch  # not before: a worker sets its environment first

    for tensor in model.parameters():
        if tensor.device.type == "cpu" and tensor.is_contiguous():
            tensor.detach().reshape(-1).view(torch.uint8)[::PAGE_BYTES].sum()


def release_freed() -> None:
    """Give memory that was freed back to the system, where the C library can."""
    gc.collect()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def loaded_memory(weights: Mapping[Component, int]) -> LoadedMemory:
    """The memory of this process and those it started, with `weights` in them."""
    pid = os.getpid()
    peaks = [_peak(process.pid) for process in process_tree(pid)]
    known = [peak for peak in peaks if peak is not None]
    return LoadedMemory(weights, TreeMemory(pid).resident_bytes(), max(known, default=None))


def publish(memory: LoadedMemory, registry: CollectorRegistry) -> None:
    """Add the gauges of `bitloom.memory` to a worker's metrics."""
    weights = Gauge(
        WORKER_PREFIX + WEIGHTS,
        "Bytes of a component's tensors as they are in memory: compare with the manifest's resident bytes.",
        ["component"],
        registry=registry,
    )
    for component, count in memory.weights.items():
        weights.labels(component).set(count)
    for name, text, value in (
        (RESIDENT, "The worker's resident set when its model was loaded.", memory.resident_bytes),
        (PEAK, "The largest resident set of any of its processes until then.", memory.peak_bytes),
    ):
        if value is not None:
            Gauge(WORKER_PREFIX + name, text, registry=registry).set(value)


def _peak(pid: int) -> int | None:
    """The largest resident set that a process ever had, by Linux; None elsewhere."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * KIB for line in lines if line.startswith("VmHWM:")), None)
