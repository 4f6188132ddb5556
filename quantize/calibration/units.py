"""The units of a model, in the order it runs them: what is loaded, calibrated and released together.

A unit is a transformer block, or a Linear outside the blocks. The family's `tied_head`, where it has one, is
always the last one, whether or not it is a layer: past it a forward pass holds nothing to learn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bitloom.errors import CheckpointError
from bitloom.plan import COMPONENTS
from quantize.checkpoint import Checkpoint
from quantize.families import Family
from quantize.layers import Layer, list_layers

if TYPE_CHECKING:  # resolving plans must not import torch
    from torch import nn


@dataclass(frozen=True, slots=True)
class Unit:
    """A block or a lone Linear, by its written name; `layers` are its Linears (empty for a tied head).

    `prefix` is the family's stack that a block belongs to, None for a lone Linear.
    """

    name: str
    prefix: str | None
    layers: tuple[Layer, ...]

    def relative(self, layer: str) -> str:
        """A layer's name inside the block; the empty string for a lone Linear."""
        return layer.removeprefix(self.name).removeprefix(".")


def list_units(checkpoint: Checkpoint) -> tuple[Unit, ...]:
    """Units of a checkpoint from its headers: vision, connector, language, each in the family's order."""
    layers = list_layers(checkpoint)
    prefixes = [stack.prefix for stack in checkpoint.family.stacks]
    found: dict[str, tuple[str | None, list[Layer]]] = {}
    for layer in layers:
        prefix = next((p for p in prefixes if layer.name.startswith(f"{p}.")), None)
        name = layer.name if prefix is None else f"{prefix}.{layer.block}"
        found.setdefault(name, (prefix, []))[1].append(layer)
    units = [Unit(name, prefix, tuple(members)) for name, (prefix, members) in found.items()]
    head = checkpoint.family.tied_head
    inner = sorted(
        (unit for unit in units if unit.name != head),
        key=lambda unit: COMPONENTS.index(unit.layers[0].component),
    )
    if head is None:
        return tuple(inner)
    return (*inner, next((unit for unit in units if unit.name == head), Unit(head, None, ())))


def unit_modules(units: Iterable[Unit], model: nn.Module, family: Family) -> tuple[nn.Module, ...]:
    """The module of each unit.

    Raises CheckpointError where the model has none, or runs its modules in another order.
    """
    names = [unit.name for unit in units]
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        written = re.sub(r"\.$", "", family.written_name(f"{name}."))
        if written in names:
            found[written] = module
    if list(found) != names:
        different = next((name for name in names if name not in found), names[0])
        raise CheckpointError(
            f"{different}: this transformers version builds {type(model).__name__} otherwise; "
            "install the version that constraints.txt pins"
        )
    return tuple(found.values())
