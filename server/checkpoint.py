"""Check a model directory before a worker is started on it, reading no weights but their headers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitloom.errors import CheckpointError
from bitloom.variant import MANIFEST_NAME, VariantManifest, read_manifest, verify_files

INDEX_NAME = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A directory that an engine can load. `manifest` is None for a base checkpoint."""

    directory: Path
    architecture: str
    manifest: VariantManifest | None

    @property
    def plan(self) -> str:
        """Name of the plan that made it, "base" where none did."""
        return "base" if self.manifest is None else self.manifest.plan.name

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weight files' hashes, in the order of their paths; empty for a base."""
        return "" if self.manifest is None else self.manifest.weights_sha256


def read_checkpoint(directory: Path) -> Checkpoint:
    """Checkpoint in `directory`, checked: a variant by its manifest's hashes, a base by its files' sizes.

    Raises VariantError or CheckpointError naming the faulty file and what to do.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory}: no such directory; give a variant or a Hugging Face checkpoint")
    manifest = read_manifest(directory) if (directory / MANIFEST_NAME).exists() else None
    if manifest is not None:
        verify_files(directory, manifest)
    architecture = _architecture(directory)
    if manifest is None:
        for path in _weight_files(directory):
            _check_safetensors(path)
    return Checkpoint(directory, architecture, manifest)


def _architecture(directory: Path) -> str:
    config = _read_json(directory / "config.json")
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise CheckpointError(f"{directory / 'config.json'}: no `architectures`; give a complete checkpoint")
    return names[0]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise CheckpointError(
            f"{path}: not readable as JSON ({exc}); give a variant or a Hugging Face checkpoint"
        ) from exc
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: expected a JSON object; give a complete checkpoint")
    return document


def _weight_files(directory: Path) -> list[Path]:
    if (directory / INDEX_NAME).exists():
        weight_map = _read_json(directory / INDEX_NAME).get("weight_map")
        if not isinstance(weight_map, dict):
            raise CheckpointError(f"{directory / INDEX_NAME}: no `weight_map`; download it again")
        files = [directory / str(name) for name in sorted(set(weight_map.values()))]
    else:
        files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{directory}: no *.safetensors weights beside config.json; copy them there")
    return files


def _check_safetensors(path: Path) -> None:
    """Raise CheckpointError unless the file is as long as its header says (safetensors format, v0.4)."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if length <= MAX_HEADER_BYTES else b""
        size = path.stat().st_size
    except OSError as exc:
        raise CheckpointError(f"{path}: cannot be read ({exc.strerror}); the checkpoint needs it") from exc
    try:
        tensors = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as exc:
        raise CheckpointError(f"{path}: its safetensors header is damaged; copy the file again") from exc
    if size != expected:
        raise CheckpointError(f"{path}: {size} bytes, its header promises {expected}; copy the file again")
