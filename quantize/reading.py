"""Tensors of a checkpoint as torch holds them; apart from `checkpoint`, so that headers need no torch."""

from __future__ import annotations

import torch
from torch import Tensor

from bitloom.errors import CheckpointError
from bitloom.tensors import TensorEntry, read_bytes

TORCH_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "BOOL": torch.bool,
}  # fmt: skip


def read_tensor(entry: TensorEntry) -> Tensor:
    """One tensor in the dtype it is stored in; CheckpointError for a dtype torch cannot hold."""
    if entry.dtype not in TORCH_DTYPES:
        raise CheckpointError(f"{entry.path}: {entry.name} is {entry.dtype}, which Bitloom does not read")
    dtype = TORCH_DTYPES[entry.dtype]
    if entry.size == 0:
        return torch.empty(entry.shape, dtype=dtype)
    return torch.from_numpy(read_bytes(entry)).view(dtype).view(entry.shape)
