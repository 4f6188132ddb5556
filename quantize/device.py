"""Where calibration and the methods that learn from it compute."""

from __future__ import annotations

import torch

from bitloom.errors import InputError

CPU = torch.device("cpu")


def find_device(name: str) -> torch.device:
    """The device of that name (`cpu`, `cuda`, `cuda:1`). Raises InputError where it is not at hand."""
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise InputError(f"device {name!r}: unknown; give cpu, cuda or cuda:N") from exc
    if device.type == "cpu":
        return CPU
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if (device.index or 0) >= count:
        raise InputError(f"device {name!r}: not at hand, PyTorch sees {count} CUDA devices; give cpu")
    return device
