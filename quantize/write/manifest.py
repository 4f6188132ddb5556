"""`variant.json`, the last file of a variant: it vouches for all the others."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from bitloom.files import list_files, sha256_file, write_atomic
from bitloom.plan import Plan
from bitloom.provenance import provenance
from bitloom.variant import MANIFEST_NAME, Base, LayerRecord, VariantManifest
from quantize.checkpoint import Checkpoint
from quantize.engines import engines_of
from quantize.resolve import ResolvedLayer, notes
from quantize.write.footprint import footprints
from quantize.write.layout import OutputTensor

_WEIGHT_SUFFIXES = frozenset(
    {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf"}
)
# the base's model card describes another model; its config is rewritten
_NOT_COPIED = frozenset({"config.json", "README.md", MANIFEST_NAME})
_PADDED_BITS = frozenset({3, 5, 6, 7})


def copy_companions(source: Path, directory: Path) -> None:
    """Copy what is neither weights nor config: processor, tokenizer, chat template, licence."""
    for path in sorted(source.iterdir()):
        is_weights = path.suffix in _WEIGHT_SUFFIXES or path.name.endswith(".index.json")
        if path.is_file() and not is_weights and path.name not in _NOT_COPIED and path.name[0] != ".":
            shutil.copyfile(path, directory / path.name)


def write_manifest(
    directory: Path,
    plan: Plan,
    checkpoint: Checkpoint,
    outputs: tuple[OutputTensor, ...],
    layers: tuple[ResolvedLayer, ...],
    records: tuple[LayerRecord, ...],
    calibration_hash: str | None = None,
    source_notes: tuple[str, ...] = (),
) -> VariantManifest:
    """Hash the files of `directory` and write the manifest that lists them."""
    total, components = footprints(checkpoint, outputs)
    manifest = VariantManifest(
        name=plan.name,
        plan=plan,
        plan_hash=plan.hash,
        base=Base(
            path=plan.base,
            revision=plan.revision,
            family=checkpoint.family.name,
            weights_sha256=_weights_sha256(checkpoint),
        ),
        calibration_hash=calibration_hash,
        provenance=provenance(),
        total=total,
        components=components,
        layers=records,
        engines=engines_of(checkpoint.family, layers),
        notes=(*notes(layers), *engine_notes(layers), *source_notes),
        files=list_files(directory),
    )
    write_atomic(directory / MANIFEST_NAME, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def engine_notes(layers: tuple[ResolvedLayer, ...]) -> tuple[str, ...]:
    """What an engine needs beyond its stock self to load these layers (docs/adr/0001-dense-packing.md)."""
    schemes = [layer.packed_scheme for layer in layers if layer.packed_scheme is not None]
    padded = sorted({scheme.stored_bits for scheme in schemes} & _PADDED_BITS)
    if not padded:
        return ()
    widths = ", ".join(map(str, padded))
    return (
        f"{widths}-bit layers are packed densely: transformers loads them with compressed-tensors >= 0.18, "
        "or with 0.17 after `quantize.backport.install()`; set container_bits for a stock 0.17",
    )


def _weights_sha256(checkpoint: Checkpoint) -> str:
    digests = "".join(sha256_file(path) for path in checkpoint.weight_paths())
    return hashlib.sha256(digests.encode()).hexdigest()
