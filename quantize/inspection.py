"""What a directory holds, variant or base checkpoint: sizes per component, checked against the files."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from bitloom.errors import EndpointError, InputError
from bitloom.memory import labelled, parse_gateway
from bitloom.plan import Component
from bitloom.schema import Schema
from bitloom.tensors import index_tensors
from bitloom.variant import MANIFEST_NAME, Engine, Footprint, read_manifest, verify_files
from quantize.checkpoint import open_checkpoint
from quantize.write.footprint import footprints
from quantize.write.layout import plan_outputs

TIMEOUT_S = 10.0


class ServedMemory(Schema):
    """What a running worker says that this variant's tensors take, and its resident set after loading."""

    variant: str
    weight_bytes: dict[Component, int]
    resident_bytes: int | None
    peak_bytes: int | None


class Inspection(Schema):
    """Sizes of a checkpoint. `plan` and its hash are None for a base; `verified` says that every file
    has the manifest's hash (a base has none to compare with: its headers and lengths are checked).
    `served` are the workers of a gateway that loaded these very weights, where one was asked."""

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
    served: tuple[ServedMemory, ...] = ()


def inspect(directory: Path, endpoint: str | None = None) -> Inspection:
    """Sizes of the variant or base checkpoint in `directory`, and what they came to at `endpoint`.

    Raises VariantError where a variant's files are not those of its manifest, CheckpointError where
    a checkpoint is missing, truncated or of an unknown family, and what `served_memory` raises.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; give a variant or a base checkpoint")
    if (directory / MANIFEST_NAME).exists():
        found = _inspect_variant(directory)
        if endpoint is not None:
            sha256 = read_manifest(directory).weights_sha256
            found = found.model_copy(update={"served": served_memory(endpoint, sha256, str(directory))})
        return found
    if endpoint is not None:
        raise InputError(
            f"{directory}: a base checkpoint; an endpoint knows only variants by their weights, so leave "
            "--endpoint out or give a variant"
        )
    return _inspect_base(directory)


def served_memory(endpoint: str, weights_sha256: str, source: str) -> tuple[ServedMemory, ...]:
    """What the gateway at `endpoint` says of the workers that loaded the weights with that hash.

    Raises EndpointError where it does not answer, InputError where none of its workers has these weights.
    """
    url = f"{endpoint.rstrip('/').removesuffix('/v1')}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            page = answer.read().decode(errors="replace")
    except (OSError, ValueError) as exc:
        raise EndpointError(f"{url}: no metrics ({exc}); give the URL of a running `bitloom serve`") from exc
    labels = labelled(page, "bitloom_variant_info")
    names = [each["variant"] for each in labels if each.get("checkpoint_sha256") == weights_sha256]
    loaded = {name: memory for name in names if (memory := parse_gateway(page, name)) is not None}
    if not loaded:
        raise InputError(
            f"{source}: no worker at {endpoint} has loaded these weights; it serves "
            f"{', '.join(each.get('variant', '?') for each in labels) or 'nothing'}"
        )
    return tuple(
        ServedMemory(
            variant=name,
            weight_bytes=dict(memory.weights),
            resident_bytes=memory.resident_bytes,
            peak_bytes=memory.peak_bytes,
        )
        for name, memory in loaded.items()
    )


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
