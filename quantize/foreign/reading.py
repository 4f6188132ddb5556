"""An AutoAWQ or GPTQ checkpoint as its headers, its small tensors and its config describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from bitloom.errors import CheckpointError
from bitloom.packing import Integers
from bitloom.plan import GroupSize
from bitloom.tensors import DTYPE_BYTES, TensorEntry, index_tensors, read_array
from quantize.checkpoint import Checkpoint, find_directory, read_config
from quantize.families import find_family
from quantize.foreign.formats import Format
from quantize.foreign.packing import (
    AWQ_BITS,
    AWQ_ORDER,
    GPTQ_BITS,
    unpack_awq,
    unpack_gptq,
    unpack_gptq_zeros,
)

_PARTS = ("qweight", "qzeros", "scales", "g_idx")


@dataclass(frozen=True, slots=True)
class ForeignModule:
    """One quantized module: its tensors, width, shape [out, in] and group size."""

    name: str
    parts: Mapping[str, TensorEntry]
    bits: int
    shape: tuple[int, int]
    group_size: GroupSize


@dataclass(frozen=True, slots=True)
class ForeignCheckpoint:
    """A foreign checkpoint. `checkpoint` shows each quantized module as the dense weight it stands for,
    whose bytes nobody may read; `less_one`: GPTQ's zero points are stored less one."""

    format: Format
    checkpoint: Checkpoint
    modules: Mapping[str, ForeignModule]
    less_one: bool

    def integers(self, name: str) -> Integers:
        """Integers [out, in] of a module."""
        module = self.modules[name]
        words = read_array(module.parts["qweight"])
        if self.format == "awq":
            return unpack_awq(words)
        return unpack_gptq(words, module.bits, module.shape[1])

    def zero_points(self, name: str) -> Integers:
        """Zero points [out, groups] of a module; all zero where it is symmetric."""
        module = self.modules[name]
        words = read_array(module.parts["qzeros"])
        if self.format == "awq":
            return unpack_awq(words)
        return unpack_gptq_zeros(words, module.bits, module.shape[0], less_one=self.less_one)


def open_foreign(base: str, revision: str | None = None) -> ForeignCheckpoint:
    """Open a checkpoint in AutoAWQ's or GPTQ's format. Weights are not read, group indices are.

    Raises CheckpointError where it is neither, damaged, of an unknown family, or uses what Bitloom's own
    format cannot hold: activation order across groups, other group sizes.
    """
    directory = find_directory(base, revision)
    config = read_config(directory)
    declared = config.pop("quantization_config", {})
    method = declared.get("quant_method")
    if method not in ("awq", "gptq"):
        raise CheckpointError(f"{directory}: quant_method {method!r}; awq or gptq can be imported")
    target = cast(Format, method)
    _check_declared(directory, target, declared)
    family = find_family(config.get("architectures") or (), source=str(directory / "config.json"))
    tensors: dict[str, TensorEntry] = {}
    parts: dict[str, dict[str, TensorEntry]] = {}
    for name, entry in index_tensors(directory).items():
        module, _, parameter = name.rpartition(".")
        if parameter in _PARTS:
            written = family.written_name(f"{module}.weight").removesuffix(".weight")
            parts.setdefault(written, {})[parameter] = entry
        else:
            tensors[family.written_name(name)] = entry
    modules = {name: _module(target, name, entries) for name, entries in parts.items()}
    if not modules:
        raise CheckpointError(f"{directory}: no tensor named qweight; copy the checkpoint again")
    for found in modules.values():
        tensors[f"{found.name}.weight"] = _as_dense(found)
    unknown = next((name for name in tensors if family.component_of(name) is None), None)
    if unknown is not None:
        raise CheckpointError(f"{directory}: {unknown} belongs to no component of {family.name}")
    less_one = declared.get("checkpoint_format", "gptq") != "gptq_v2"
    return ForeignCheckpoint(target, Checkpoint(directory, config, family, tensors), modules, less_one)


def _check_declared(directory: Path, target: Format, declared: Mapping[str, Any]) -> None:
    if target == "awq" and declared.get("version", "gemm") not in ("gemm", "GEMM"):
        raise CheckpointError(f"{directory}: awq version {declared['version']!r}; only gemm can be imported")
    known = ("gptq", "gptq_v2")
    if target == "gptq" and declared.get("checkpoint_format", "gptq") not in known:
        raise CheckpointError(
            f"{directory}: checkpoint_format {declared['checkpoint_format']!r}; expected {' or '.join(known)}"
        )


def _module(target: Format, name: str, parts: Mapping[str, TensorEntry]) -> ForeignModule:
    missing = [part for part in ("qweight", "qzeros", "scales") if part not in parts]
    if missing:
        raise CheckpointError(f"{name}: no {missing[0]} beside its other parts; copy the checkpoint again")
    groups, rows = parts["scales"].shape
    zeros = parts["qzeros"].shape[1]
    if target == "awq":
        bits, cols = AWQ_BITS, parts["qweight"].shape[0]
        expected = (cols, rows // len(AWQ_ORDER))
    else:
        bits = 32 * zeros // rows
        cols = parts["qweight"].shape[0] * 32 // max(bits, 1)
        expected = (cols * bits // 32, rows)
    if bits not in GPTQ_BITS or parts["qweight"].shape != expected or cols % groups:
        shapes = ", ".join(f"{part} {list(parts[part].shape)}" for part in ("qweight", "qzeros", "scales"))
        raise CheckpointError(f"{name}: {shapes} are not those of {target}; copy the checkpoint again")
    size = "channel" if groups == 1 else cols // groups
    if size not in (32, 64, 128, "channel"):
        raise CheckpointError(f"{name}: group size {size}; 32, 64, 128 and whole rows can be imported")
    module = ForeignModule(name, parts, bits, (rows, cols), cast(GroupSize, size))
    _check_order(module, cols // groups)
    return module


def _check_order(module: ForeignModule, width: int) -> None:
    entry = module.parts.get("g_idx")
    if entry is None:
        return
    expected = np.arange(module.shape[1]) // width
    if entry.shape != expected.shape or not np.array_equal(read_array(entry), expected):
        raise CheckpointError(
            f"{module.name}: its groups are spread over the inputs (desc_act without static groups), which "
            "compressed-tensors cannot hold; quantize the base again with static groups"
        )


def _as_dense(module: ForeignModule) -> TensorEntry:
    scales = module.parts["scales"]
    size = module.shape[0] * module.shape[1] * DTYPE_BYTES[scales.dtype]
    return replace(
        module.parts["qweight"],
        name=f"{module.name}.weight",
        dtype=scales.dtype,
        shape=module.shape,
        size=size,
    )
