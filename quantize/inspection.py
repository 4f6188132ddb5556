"""What a directory holds, variant or base checkpoint: sizes per component, checked against the files."""

from __future__ import annotations

from pathlib import Path

from bitloom.errors import InputError
from bitloom.plan import Component
from bitloom.schema import Schema
from bitloom.tensors import index_tensors
from bitloom.variant import MANIFEST_NAME, Engine, Footprint, read_manifest, verify_files
from quantize.checkpoint import open_checkpoint
from quantize.write.footprint import footprints
from quantize.write.layout import plan_outputs


class Inspection(Schema):
    """Sizes of a checkpoint. `plan` and its hash are None for a base; `verified` says that every file
    has the manifest's hash (a base has none to compare with: its headers and lengths are checked)."""

    path: str
    name: str
    family: str
    plan: str | None
    plan_hash: str | None
    verified: bool
    engines: tuple[Engine, ...]
    notes: tuple[str, ...]
    total: Footprint
    components: dict[Component, Footprint]


def inspect(directory: Path) -> Inspection:
    """Sizes of the variant or base checkpoint in `directory`.

    Raises VariantError where a variant's files are not those of its manifest, CheckpointError where
    a checkpoint is missing, truncated or of an unknown family.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; give a variant or a base checkpoint")
    if (directory / MANIFEST_NAME).exists():
        return _inspect_variant(directory)
    return _inspect_base(directory)


def _inspect_variant(directory: Path) -> Inspection:
    manifest = read_manifest(directory)
    verify_files(directory, manifest)
    index_tensors(directory)
    return Inspection(
        path=str(directory),
        name=manifest.name,
        family=manifest.base.family,
        plan=manifest.plan.name,
        plan_hash=manifest.plan_hash,
        verified=True,
        engines=manifest.engines,
        notes=manifest.notes,
        total=manifest.total,
        components=manifest.components,
    )


def _inspect_base(directory: Path) -> Inspection:
    checkpoint = open_checkpoint(str(directory))
    total, components = footprints(checkpoint, plan_outputs(checkpoint, ()))
    return Inspection(
        path=str(directory),
        name=directory.resolve().name,
        family=checkpoint.family.name,
        plan=None,
        plan_hash=None,
        verified=False,
        engines=checkpoint.family.engines,
        notes=(),
        total=total,
        components=components,
    )
