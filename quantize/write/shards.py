"""Safetensors shards written as a stream: headers first, then each tensor to its place.

Because all names, dtypes and shapes are known beforehand, no more than one tensor is ever held.
Within a shard, tensors stand by falling alignment, as the safetensors library writes them, so that
every tensor starts at a multiple of its element size.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from bitloom.tensors import DTYPE_BYTES, INDEX_FILE, SINGLE_FILE
from quantize.write.layout import TensorSpec

MAX_SHARD_BYTES = 2 << 30


class ShardWriter:
    """Writes the tensors of `specs` into one or more shards of `directory`; use it as a context.

    Leaving the context without an exception checks that every tensor was written.
    """

    def __init__(
        self, directory: Path, specs: Sequence[TensorSpec], max_shard_bytes: int = MAX_SHARD_BYTES
    ) -> None:
        self._directory = directory
        self._shards = _split(specs, max_shard_bytes)
        self._places: dict[str, tuple[Path, int, int]] = {}
        self._files: dict[Path, BinaryIO] = {}
        self._missing = {spec.name for spec in specs}

    def __enter__(self) -> Self:
        """Create all shards with their headers, at their full length."""
        count = len(self._shards)
        for index, specs in enumerate(self._shards):
            name = SINGLE_FILE if count == 1 else f"model-{index + 1:05d}-of-{count:05d}.safetensors"
            self._open_shard(self._directory / name, specs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the shards; where all went well, write the index of several shards."""
        for file in self._files.values():
            file.close()
        if kind is not None:
            return
        if self._missing:
            raise AssertionError(f"{len(self._missing)} tensors were not written: {min(self._missing)}")
        if len(self._shards) > 1:
            self._write_index()

    def write(self, name: str, content: NDArray[np.generic]) -> None:
        """Write the bytes of one tensor; it must be one of the specs, with its size, and come once."""
        path, offset, size = self._places[name]
        if content.nbytes != size or name not in self._missing:
            raise AssertionError(f"{name}: {content.nbytes} bytes for a place of {size}, or written twice")
        file = self._files[path]
        file.seek(offset)
        file.write(np.ascontiguousarray(content).data)
        self._missing.remove(name)

    def _open_shard(self, path: Path, specs: Iterable[TensorSpec]) -> None:
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        end = 0
        for spec in sorted(specs, key=lambda spec: (-DTYPE_BYTES[spec.dtype], spec.name)):
            header[spec.name] = {
                "dtype": spec.dtype,
                "shape": list(spec.shape),
                "data_offsets": [end, end + spec.size],
            }
            self._places[spec.name] = (path, end, spec.size)
            end += spec.size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        start = 8 + len(text)
        for spec in specs:
            _, offset, size = self._places[spec.name]
            self._places[spec.name] = (path, start + offset, size)
        file = path.open("wb")
        self._files[path] = file
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(start + end)

    def _write_index(self) -> None:
        weight_map = {name: path.name for name, (path, _, _) in sorted(self._places.items())}
        total = sum(size for _, _, size in self._places.values())
        document = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (self._directory / INDEX_FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _split(specs: Sequence[TensorSpec], max_shard_bytes: int) -> list[list[TensorSpec]]:
    """Runs of tensors that stay under the limit; a tensor above it gets a shard of its own."""
    shards: list[list[TensorSpec]] = [[]]
    filled = 0
    for spec in specs:
        if shards[-1] and filled + spec.size > max_shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(spec)
        filled += spec.size
    return shards
