"""Safetensors files read with numpy alone: headers first, then one tensor at a time.

The format (https://github.com/huggingface/safetensors): eight bytes little-endian header size, a
JSON header of names, dtypes, shapes and byte ranges, then the bytes. Everything that can be wrong
with a file, its length above all, is found from the header, before a weight is read.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitloom.errors import CheckpointError

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
DTYPE_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2,
    "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
FLOAT_DTYPES = frozenset({"F32", "BF16", "F16"})
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"}
_NUMPY |= {"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?"}
_MAX_HEADER_BYTES = 100_000_000
_REMEDY = "download or copy the checkpoint again"


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where a tensor stands: its file, safetensors dtype, shape, and byte range [offset, offset + size)."""

    name: str
    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def index_tensors(directory: Path) -> dict[str, TensorEntry]:
    """Entries of all tensors of a checkpoint directory, one file or sharded, from the headers alone.

    Raises CheckpointError where the directory, a shard or a tensor is missing, or a file is
    truncated or malformed.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory}: no such directory; give the directory of a checkpoint")
    index_path = directory / INDEX_FILE
    if not index_path.is_file():
        single = directory / SINGLE_FILE
        if not single.is_file():
            raise CheckpointError(
                f"{directory}: neither {SINGLE_FILE} nor {INDEX_FILE}; give a checkpoint saved as safetensors"
            )
        return read_header(single)
    weight_map = _read_weight_map(index_path)
    entries: dict[str, TensorEntry] = {}
    for shard in sorted(set(weight_map.values())):
        entries.update(read_header(directory / shard))
    missing = sorted(set(weight_map) - set(entries))
    if missing:
        raise CheckpointError(f"{index_path}: lists {missing[0]}, but no shard holds it; {_REMEDY}")
    return entries


def read_header(path: Path) -> dict[str, TensorEntry]:
    """Entries of one safetensors file; CheckpointError where it is missing, truncated or malformed."""
    try:
        file_size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            size = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            if not 2 <= size <= min(_MAX_HEADER_BYTES, file_size - 8):
                raise CheckpointError(f"{path}: truncated, or no safetensors file; {_REMEDY}")
            document = json.loads(file.read(size))
        entries = [
            _entry(path, name, fields, 8 + size)
            for name, fields in document.items()
            if name != "__metadata__"
        ]
    except OSError as exc:
        raise CheckpointError(f"{path}: cannot be read ({exc.strerror}); {_REMEDY}") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CheckpointError(f"{path}: its safetensors header is malformed ({exc}); {_REMEDY}") from exc
    end = max((entry.offset + entry.size for entry in entries), default=8 + size)
    if end > file_size:
        raise CheckpointError(f"{path}: truncated: {file_size} bytes, its header promises {end}; {_REMEDY}")
    return {entry.name: entry for entry in entries}


def read_bytes(entry: TensorEntry) -> NDArray[np.uint8]:
    """The bytes of one tensor, in memory of its own (writable, so that torch can adopt it)."""
    content = np.empty(entry.size, dtype=np.uint8)
    with entry.path.open("rb") as file:
        file.seek(entry.offset)
        read = file.readinto(content.data) if entry.size else 0
    if read != entry.size:
        raise CheckpointError(
            f"{entry.path}: {entry.name} ends after {read} of {entry.size} bytes; {_REMEDY}"
        )
    return content


def read_array(entry: TensorEntry) -> NDArray[Any]:
    """One tensor as a numpy array; bfloat16, which numpy lacks, becomes float32 (exactly)."""
    content = read_bytes(entry)
    if entry.dtype == "BF16":
        widened = content.view("<u2").astype(np.uint32) << np.uint32(16)
        return widened.view(np.float32).reshape(entry.shape)
    if entry.dtype not in _NUMPY:
        raise CheckpointError(f"{entry.path}: {entry.name} is {entry.dtype}, which Bitloom does not read")
    return content.view(_NUMPY[entry.dtype]).reshape(entry.shape)


def _entry(path: Path, name: str, fields: dict[str, Any], start: int) -> TensorEntry:
    first, last = fields["data_offsets"]
    shape = tuple(int(side) for side in fields["shape"])
    entry = TensorEntry(name, path, fields["dtype"], shape, start + first, last - first)
    if entry.size != DTYPE_BYTES[entry.dtype] * entry.count or first < 0:
        raise ValueError(f"{name}: {entry.size} bytes are not {entry.dtype}{list(shape)}")
    return entry


def _read_weight_map(path: Path) -> dict[str, str]:
    try:
        weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): str(shard) for name, shard in weight_map.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CheckpointError(f"{path}: no readable index of shards ({exc}); {_REMEDY}") from exc
