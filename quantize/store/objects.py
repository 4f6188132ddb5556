"""Objects by key: tensors and facts, in one safetensors file each, written once and never changed.

A key is the hash of all that an object was made from (`artifacts.keys`), so whoever finds the key has
the object, whichever process made it. Writers write a temporary file beside the object and rename it:
concurrent writers of one key write the same content, and readers see a whole object or none. The file
also holds the hash of its own content, and every read checks it; therefore no write waits for the disk
(fsync): what a power cut tears is found out and made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from quantize.errors import StoreError

_KEY = re.compile(r"^[0-9a-f]{64}$")
_SUFFIX = ".safetensors"
_STALE_S = 3600.0


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What stands under a key: named tensors, and facts (a JSON object)."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """An object on the disk: its key, file, size in bytes, and when it was last used (Unix seconds)."""

    key: str
    path: Path
    bytes: int
    used_at: float


class ObjectStore:
    """Objects below `root`, which is created when the first one is put."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __contains__(self, key: str) -> bool:
        return self._path(key).is_file()

    def put(self, key: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Write an object, unless it is there. Raises StoreError where the disk does not take it."""
        path = self._path(key)
        if path.is_file():
            return
        tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        text = json.dumps(facts, sort_keys=True)
        metadata = {"key": key, "facts": text, "sha256": _content_hash(tensors, text)}
        content = save(tensors, metadata)
        temporary: Path | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=f".{key[:16]}.", dir=path.parent)
            temporary = Path(name)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            temporary.chmod(0o644)
            temporary.replace(path)
        except OSError as exc:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
            raise StoreError(
                f"{path}: could not be written ({exc.strerror}); make room with `bitloom store gc`, "
                "then run again: what is in the store stays"
            ) from exc

    def get(self, key: str) -> StoredObject:
        """Read an object and mark it as used. Raises StoreError where it is missing or was changed."""
        path = self._path(key)
        found = _read(path, key)
        try:
            os.utime(path)
        except OSError as exc:
            raise StoreError(f"{path}: vanished while it was read ({exc.strerror}); run again") from exc
        return found

    def peek(self, key: str) -> StoredObject:
        """Read an object without marking it as used. Raises StoreError where it is missing or damaged."""
        return _read(self._path(key), key)

    def entries(self) -> Iterator[ObjectEntry]:
        """All objects, by key."""
        for path in sorted(self.root.glob(f"objects/??/*{_SUFFIX}")):
            key = path.name.removesuffix(_SUFFIX)
            if _KEY.match(key):
                stat = path.stat()
                yield ObjectEntry(key, path, stat.st_size, stat.st_mtime)

    def remove(self, key: str) -> None:
        """Remove an object; it is made again when a plan needs it."""
        self._path(key).unlink(missing_ok=True)

    def collect(self, *, max_age_s: float | None = None, max_bytes: int | None = None) -> list[ObjectEntry]:
        """Remove objects not used for `max_age_s`, then the longest unused ones beyond `max_bytes`.

        Files that killed writers left behind go too. Returns what was removed.
        """
        now = time.time()
        for path in self.root.glob("objects/??/.*"):
            if now - path.stat().st_mtime > _STALE_S:
                path.unlink(missing_ok=True)
        entries = sorted(self.entries(), key=lambda entry: entry.used_at)
        kept_bytes = sum(entry.bytes for entry in entries)
        removed = []
        for entry in entries:
            is_old = max_age_s is not None and now - entry.used_at > max_age_s
            if is_old or (max_bytes is not None and kept_bytes > max_bytes):
                self.remove(entry.key)
                kept_bytes -= entry.bytes
                removed.append(entry)
        return removed

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            raise ValueError(f"{key!r} is no SHA-256")
        return self.root / "objects" / key[:2] / f"{key}{_SUFFIX}"


def _read(path: Path, key: str) -> StoredObject:
    try:
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        metadata = json.loads(content[8 : 8 + size])["__metadata__"]
        tensors = load(content)
        text, expected, own_key = metadata["facts"], metadata["sha256"], metadata["key"]
    except FileNotFoundError as exc:
        raise StoreError(f"{path}: no such object; quantize the plan again") from exc
    except (OSError, ValueError, KeyError, struct.error, SafetensorError) as exc:
        raise StoreError(_changed(path, str(exc))) from exc
    if own_key != key or _content_hash(tensors, text) != expected:
        raise StoreError(_changed(path, "its hash is wrong"))
    return StoredObject(tensors, json.loads(text))


def _changed(path: Path, reason: str) -> str:
    return f"{path}: damaged ({reason}); remove it with `bitloom store verify --remove`, then run again"


def _content_hash(tensors: Mapping[str, Tensor], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
