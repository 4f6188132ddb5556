"""A base checkpoint as its headers describe it; no weight is read before somebody asks for one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitloom.errors import CheckpointError
from bitloom.tensors import TensorEntry, index_tensors
from quantize.families import Family, find_family


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint directory: its config, family, and tensors by written name (see `families.table`)."""

    directory: Path
    config: Mapping[str, Any]
    family: Family
    tensors: Mapping[str, TensorEntry]

    def weight_paths(self) -> Iterator[Path]:
        """The weight files, sorted."""
        yield from sorted({entry.path for entry in self.tensors.values()})

    @property
    def has_tied_head(self) -> bool:
        """Whether the language model's head is its embedding matrix, and so no layer of its own."""
        if self.family.tied_head is None:
            return False
        default = self.config.get("tie_word_embeddings", self.family.tied_by_default)
        return bool(self.config.get("text_config", {}).get("tie_word_embeddings", default))


def open_checkpoint(base: str, revision: str | None = None) -> Checkpoint:
    """Open a directory, or a hub id from the local Hugging Face cache, reading headers only.

    Raises CheckpointError where it is missing, truncated, already quantized or of an unknown family.
    """
    directory = find_directory(base, revision)
    config = read_config(directory)
    if "quantization_config" in config:
        raise CheckpointError(
            f"{directory}: is quantized already; give the full-precision checkpoint it was made from"
        )
    family = find_family(config.get("architectures") or (), source=str(directory / "config.json"))
    return Checkpoint(directory, config, family, _by_written_name(family, index_tensors(directory)))


def read_config(directory: Path) -> dict[str, Any]:
    """`config.json` of a checkpoint directory; CheckpointError where there is none."""
    path = directory / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{directory}: no config.json; give the directory of a checkpoint")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise CheckpointError(f"{path}: not valid JSON ({exc}); copy the checkpoint again") from exc
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: holds no JSON object; copy the checkpoint again")
    return config


def find_directory(base: str, revision: str | None) -> Path:
    """Directory of `base`. Hub ids are looked up in the local cache only: quantizing never downloads."""
    directory = Path(base).expanduser()
    if directory.is_dir():
        return directory
    if directory.exists():
        raise CheckpointError(f"{base}: is a file; give the directory of a checkpoint")
    parts = base.split("/")
    if len(parts) == 2 and all(parts) and not base.startswith((".", "~")):
        cached = _cached_snapshot(base, revision)
        if cached is not None:
            return cached
        raise CheckpointError(
            f"{base}: no such directory, and not in the local Hugging Face cache; "
            f"give a checkpoint's directory, or run `hf download {base}` first"
        )
    raise CheckpointError(f"{base}: no such directory; give the directory of a checkpoint")


def _cached_snapshot(repository: str, revision: str | None) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _by_written_name(family: Family, entries: Mapping[str, TensorEntry]) -> dict[str, TensorEntry]:
    tensors: dict[str, TensorEntry] = {}
    for name, entry in entries.items():
        written = family.written_name(name)
        if written in tensors:
            raise CheckpointError(f"{entry.path}: {name} and {tensors[written].name} are the same tensor")
        if family.component_of(written) is None:
            raise CheckpointError(f"{entry.path}: {name} belongs to no component of {family.name}")
        tensors[written] = entry
    return tensors
