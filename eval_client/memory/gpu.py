"""GPU memory through NVML, where there are a GPU, its driver and `nvidia-ml-py`."""

from __future__ import annotations

import logging
from typing import Any

_log = logging.getLogger(__name__)


class GpuMemory:
    """Used bytes of all GPUs of this machine. Make it with `open_gpus`."""

    def __init__(self, nvml: Any, devices: list[Any]) -> None:
        self._nvml = nvml
        self._devices = devices

    def used_bytes(self) -> int:
        """Bytes in use on all GPUs, whoever uses them."""
        return sum(int(self._nvml.nvmlDeviceGetMemoryInfo(device).used) for device in self._devices)


def open_gpus() -> GpuMemory | None:
    """The GPUs of this machine, or None where there are none that NVML can see."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        devices = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as exc:
        _log.info("no GPU memory: NVML says %s", exc)
        return None
    return GpuMemory(pynvml, devices) if devices else None
