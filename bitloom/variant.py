"""The variant manifest (`variant.json`): what a variant directory holds and where it came from.

Terms: *stored bytes* are what the checkpoint file holds for a layer, scales and zero points
included; *resident bytes* are what an engine keeps in memory for it; *bpw* is stored bits per
weight; *bpw_paper* is the mean of the nominal bits, scales left out, as arXiv 2601.15287 counts.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bitloom.errors import InputError, VariantError
from bitloom.files import FileEntry, Sha256, sha256_file
from bitloom.plan import Bits, Component, GroupSize, LayerType, Method, Plan
from bitloom.provenance import Provenance
from bitloom.schema import Schema

MANIFEST_NAME = "variant.json"
Count = Annotated[int, Field(ge=0)]
Engine = Literal["vllm", "transformers"]


class LayerRecord(Schema):
    """One Linear of the variant.

    `name` is its module name in the checkpoint. `block` is None outside transformer blocks.
    `stored_dense` names why a layer the plan wanted quantized is served dense, if it is.
    `relative_error` is ||W_q - W||_F / ||W||_F of the weights; None for dense layers.
    `relative_output_error` is the same of the layer's outputs on held-out calibration samples.
    """

    name: str
    component: Component
    block: Count | None
    layer_type: LayerType
    shape: tuple[int, int]
    bits: Bits
    method: Method | None
    group_size: GroupSize | None
    symmetric: bool
    activations: Literal[8, 16] = 16
    container_bits: int | None
    stored_bytes: Count
    relative_error: float | None
    relative_output_error: float | None = None
    stored_dense: str | None = None


class Footprint(Schema):
    """Size of a component, or of the whole: all its parameters, dense ones included.

    `resident_bytes` maps an engine to what it keeps in memory for these parameters: the packed weights on
    a CPU, where both workers use our kernels. Without a compiler those are dense, and so they are on a GPU
    in the transformers worker.
    """

    parameters: Count
    quantized_parameters: Count
    stored_bytes: Count
    bpw: float
    bpw_paper: float
    resident_bytes: dict[Engine, Count]


class Base(Schema):
    """The checkpoint a variant was made from, with the SHA-256 of its weight files' hashes."""

    path: str
    revision: str | None
    family: str
    weights_sha256: Sha256


class VariantManifest(Schema):
    """Everything a later stage needs to know of a variant without reading its weights.

    `notes` say what does not follow from the plan: layers it wants quantized that are stored dense,
    and what an engine needs to load this variant.
    """

    file_error: ClassVar[type[InputError]] = VariantError

    schema_version: Literal[1] = 1
    name: str
    plan: Plan
    plan_hash: Sha256
    base: Base
    calibration_hash: Sha256 | None
    provenance: Provenance
    total: Footprint
    components: dict[Component, Footprint]
    layers: tuple[LayerRecord, ...]
    engines: tuple[Engine, ...]
    notes: tuple[str, ...] = ()
    files: tuple[FileEntry, ...]

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weight files' hashes, in the order of their paths."""
        files = sorted((entry.path, entry.sha256) for entry in self.files)
        weights = "".join(digest for path, digest in files if path.endswith(".safetensors"))
        return hashlib.sha256(weights.encode()).hexdigest()


def read_manifest(directory: Path) -> VariantManifest:
    """Manifest of a variant directory; raise VariantError where there is none or it is invalid."""
    path = directory / MANIFEST_NAME
    if not path.is_file():
        raise VariantError(
            f"{directory}: no {MANIFEST_NAME}; give a directory that `bitloom quantize` wrote to its end"
        )
    return VariantManifest.read(path)


def verify_files(directory: Path, manifest: VariantManifest) -> None:
    """Raise VariantError unless every file of the manifest is there with its size and hash."""
    for entry in manifest.files:
        path = directory / entry.path
        if not path.is_file():
            raise VariantError(f"{path}: missing, though the manifest lists it; quantize the plan again")
        size = path.stat().st_size
        if size != entry.bytes:
            raise VariantError(f"{path}: {size} bytes, expected {entry.bytes}; quantize the plan again")
        if sha256_file(path) != entry.sha256:
            raise VariantError(f"{path}: its SHA-256 is not the manifest's; quantize the plan again")
