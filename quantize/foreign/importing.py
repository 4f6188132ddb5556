"""An AutoAWQ or GPTQ checkpoint as a variant: a plan that says what it is, and the same integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bitloom.errors import PlanError
from bitloom.files import check_new_directory
from bitloom.plan import Component, GroupSize, LayerType, Plan, Rule
from bitloom.variant import VariantManifest
from quantize.foreign.reading import ForeignCheckpoint, open_foreign
from quantize.layers import list_layers
from quantize.methods import QuantizedWeight
from quantize.pipeline import write_variant
from quantize.preview import describe
from quantize.reading import read_tensor
from quantize.resolve import ResolvedLayer, resolve
from quantize.source import QuantizedLayer
from quantize.write.weights import LayerListener


def import_checkpoint(
    base: str, out: Path, *, name: str | None = None, on_layer: LayerListener | None = None
) -> VariantManifest:
    """Write `base` (a directory or cached hub id, in AutoAWQ's or GPTQ's format) as a variant to `out`.

    Raises CheckpointError where it cannot be imported, PlanError where no plan describes it.
    """
    check_new_directory(out)
    foreign = open_foreign(base)
    is_symmetric = not any(foreign.zero_points(module).any() for module in foreign.modules)
    plan = Plan(name=name or out.name, base=base, rules=_rules(foreign, is_symmetric))
    layers = resolve(plan, foreign.checkpoint)
    planned = describe(foreign.checkpoint, layers)
    return write_variant(plan, planned, ForeignSource(foreign), out, on_layer=on_layer)


class ForeignSource:
    """The `TensorSource` of a foreign checkpoint: nothing is computed, and no error is known."""

    calibration: str | None = None

    def __init__(self, foreign: ForeignCheckpoint) -> None:
        self._foreign = foreign

    def notes(self) -> tuple[str, ...]:
        """Where the integers came from."""
        return (f"imported from a checkpoint in {self._foreign.format} format: errors are unknown",)

    def dense(self, name: str) -> Tensor:
        """A tensor that is dense in the checkpoint too."""
        return read_tensor(self._foreign.checkpoint.tensors[name])

    def quantized(self, layer: ResolvedLayer) -> QuantizedLayer:
        """The module's own integers, scales and zero points."""
        if layer.scheme is None:
            raise AssertionError(f"{layer.name} has no scheme")
        scales = read_tensor(self._foreign.modules[layer.name].parts["scales"]).t().contiguous()
        zeros = None
        if not layer.scheme.symmetric:
            zeros = torch.from_numpy(self._foreign.zero_points(layer.name))
        weight = QuantizedWeight(torch.from_numpy(self._foreign.integers(layer.name)), scales, zeros)
        return QuantizedLayer(weight, None)


_Kind = tuple[int, GroupSize] | None
"""Bits and group size of a quantized module; None for a dense one."""


def _rules(foreign: ForeignCheckpoint, is_symmetric: bool) -> tuple[Rule, ...]:
    """Rules that resolve to exactly the modules that are quantized.

    For each component and layer type: one rule where all its layers are alike; else one for the layers
    outside blocks, and one for the blocks of each kind.
    """
    places: dict[tuple[Component, LayerType], dict[int | None, _Kind]] = {}
    for layer in list_layers(foreign.checkpoint):
        module = foreign.modules.get(layer.name)
        kind = None if module is None else (module.bits, module.group_size)
        found = places.setdefault((layer.component, layer.layer_type), {})
        if found.setdefault(layer.block, kind) != kind:
            raise PlanError(
                f"{layer.name} is {_words(kind)}, other {layer.layer_type} layers of its block are "
                f"{_words(found[layer.block])}: a plan cannot say that; quantize the base with a plan instead"
            )
    return tuple(
        Rule(component=component, layers=layer_type, blocks=blocks, **_fields(kind, foreign, is_symmetric))
        for (component, layer_type), kinds in places.items()
        for blocks, kind in _selections(kinds)
        if len(set(kinds.values())) > 1 or kind is not None
    )


def _selections(kinds: Mapping[int | None, _Kind]) -> Iterator[tuple[str, _Kind]]:
    """`blocks` of a rule and the kind it gives, in an order in which later ones may override earlier."""
    different = dict.fromkeys(kinds.values())
    if len(different) == 1 or None in kinds:
        yield "all", kinds.get(None, next(iter(different)))
    if len(different) > 1:
        for kind in different:
            blocks = [str(block) for block, own in kinds.items() if own == kind and block is not None]
            if blocks:
                yield ",".join(blocks), kind


def _fields(kind: _Kind, foreign: ForeignCheckpoint, is_symmetric: bool) -> dict[str, Any]:
    if kind is None:
        return {"bits": 16}
    return {"bits": kind[0], "group_size": kind[1], "method": foreign.format, "symmetric": is_symmetric}


def _words(kind: _Kind) -> str:
    return "dense" if kind is None else f"{kind[0]}-bit, group size {kind[1]}"
