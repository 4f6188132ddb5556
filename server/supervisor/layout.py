"""Whether a running engine can take on another directory's weights: same tensors, same configuration.

An engine that is given other shapes does not refuse: it dies. So everything is compared before it is asked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bitloom.errors import CheckpointError

# Keys of config.json that say where a checkpoint came from, not what it is.
_PROVENANCE = frozenset({"_name_or_path", "transformers_version"})


def has_same_layout(one: Path, other: Path) -> bool:
    """Whether both hold tensors of the same names, types and shapes under the same configuration."""
    return _config(one) == _config(other) and tensors_of(one) == tensors_of(other)


def tensors_of(directory: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of every tensor by name, from the files' headers; raises CheckpointError."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for path in sorted(directory.glob("*.safetensors")):
        for name, entry in _header(path).items():
            if name != "__metadata__":
                found[name] = (str(entry["dtype"]), tuple(entry["shape"]))
    return found


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            header: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"{path}: its safetensors header cannot be read; copy the file again") from exc
    return header


def _config(directory: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"{directory}: its config.json cannot be read; copy it again") from exc
    return {key: value for key, value in document.items() if key not in _PROVENANCE}
