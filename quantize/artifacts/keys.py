"""Keys of artifacts: the hash of everything that decides what an artifact holds, and of nothing else.

All keys of a plan follow from checkpoint, plan and calibration samples, without running the model. So
whether a variant is pure assembly is known before anything is computed, and a run that was killed goes on
where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bitloom.tensors import read_bytes
from quantize.checkpoint import Checkpoint
from quantize.options import GptqOptions
from quantize.scheme import Scheme

# Raise this when a method's results change: artifacts of older versions are then not found any more.
VERSION = 1


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document's canonical JSON."""
    text = json.dumps({"version": VERSION, **document}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class WeightHashes:
    """SHA-256 of a checkpoint's tensors (dtype, shape and bytes), each computed once."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._known: dict[str, str] = {}

    def of(self, name: str) -> str | None:
        """Hash of a tensor (written name); None where the checkpoint has none of that name."""
        entry = self._checkpoint.tensors.get(name)
        if entry is None:
            return None
        if name not in self._known:
            found = hashlib.sha256(f"{entry.dtype}{entry.shape}".encode())
            found.update(read_bytes(entry).data)
            self._known[name] = found.hexdigest()
        return self._known[name]

    def of_all(self) -> str:
        """Hash of the whole checkpoint's weights."""
        return digest({"weights": {name: self.of(name) for name in sorted(self._checkpoint.tensors)}})


def statistics_key(calibration: str, unit: str) -> str:
    """Key of a unit's statistics of the full-precision model; `calibration` is the identity of a pass."""
    return digest({"kind": "statistics", "calibration": calibration, "unit": unit})


def sequential_key(calibration: str, unit: str, behind: Mapping[str, str | None]) -> str:
    """Identity of a unit's statistics where the layers before it are quantized: their artifacts' keys."""
    return digest({"kind": "sequential", "calibration": calibration, "unit": unit, "before": dict(behind)})


def scheme_document(scheme: Scheme) -> dict[str, Any]:
    """What of a scheme decides the integers: not the container, not the activations."""
    document: dict[str, Any] = {
        "method": scheme.method,
        "bits": scheme.bits,
        "group_size": scheme.group_size,
        "symmetric": scheme.symmetric,
        "scale_dtype": scheme.scale_dtype,
    }
    return {**document, "clip": True} if scheme.clip else document


def smoothing_key(
    weights: Mapping[str, str | None], schemes: Mapping[str, Scheme], head_size: int | None, statistics: str
) -> str:
    """Key of a pair's scales; `weights` are the hashes of its source's tensors and its linears'."""
    return digest(
        {
            "kind": "smoothing",
            "weights": dict(weights),
            "schemes": {name: scheme_document(scheme) for name, scheme in schemes.items()},
            "head_size": head_size,
            "statistics": statistics,
        }
    )


def layer_key(
    weight: str,
    scheme: Scheme,
    layer: str,
    statistics: str,
    smoothing: tuple[str, ...],
    options: GptqOptions,
) -> str:
    """Key of a quantized layer; `smoothing` are the keys of the pairs that change its weight."""
    document = {
        "kind": "layer",
        "weight": weight,
        "layer": layer,
        "scheme": scheme_document(scheme),
        "statistics": statistics,
        "smoothing": list(smoothing),
    }
    if scheme.method == "gptq":
        document["options"] = asdict(options)
    return digest(document)
