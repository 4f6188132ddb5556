"""The layers of a checkpoint: what its family's table finds among its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bitloom.errors import CheckpointError
from bitloom.plan import Component, LayerType
from bitloom.tensors import FLOAT_DTYPES
from quantize.checkpoint import Checkpoint
from quantize.families import Stack


@dataclass(frozen=True, slots=True)
class Layer:
    """One Linear: module name (written), place, shape [out, in] and safetensors dtype of its weight.

    `siblings` are all members of its fused group, itself included; empty where it is in none.
    """

    name: str
    component: Component
    block: int | None
    layer_type: LayerType
    shape: tuple[int, int]
    dtype: str
    siblings: tuple[str, ...] = ()


def list_layers(checkpoint: Checkpoint) -> tuple[Layer, ...]:
    """All Linears a plan can name, in the family's order: each stack block by block, then singles.

    Raises CheckpointError where a block or a weight is missing, or a weight is no float matrix.
    """
    layers = [layer for stack in checkpoint.family.stacks for layer in _stack_layers(checkpoint, stack)]
    for single in checkpoint.family.singles:
        is_tied = single.name == checkpoint.family.tied_head and checkpoint.has_tied_head
        if not is_tied:
            layers.append(_layer(checkpoint, single.name, single.component, None, single.layer_type))
    return tuple(layers)


def count_blocks(checkpoint: Checkpoint, stack: Stack) -> int:
    """Number of blocks of `stack`; CheckpointError where there is none, or one in between is missing."""
    pattern = re.compile(re.escape(stack.prefix) + r"\.(\d+)\.")
    found = {int(match[1]) for name in checkpoint.tensors if (match := pattern.match(name))}
    missing = set(range(max(found, default=0) + 1)) - found
    if missing:
        raise CheckpointError(
            f"{checkpoint.directory}: no tensors of {stack.prefix}.{min(missing)}; copy the checkpoint again"
        )
    return len(found)


def _stack_layers(checkpoint: Checkpoint, stack: Stack) -> Iterator[Layer]:
    for block in range(count_blocks(checkpoint, stack)):
        for linear, layer_type in stack.linears.items():
            name = f"{stack.prefix}.{block}.{linear}"
            # a Q-Former attends to the image in every n-th block only
            if layer_type == "cross_attention" and f"{name}.weight" not in checkpoint.tensors:
                continue
            group = next((group for group in stack.fused if linear in group), ())
            siblings = tuple(f"{stack.prefix}.{block}.{member}" for member in group)
            yield _layer(checkpoint, name, stack.component, block, layer_type, siblings)


def _layer(
    checkpoint: Checkpoint,
    name: str,
    component: Component,
    block: int | None,
    layer_type: LayerType,
    siblings: tuple[str, ...] = (),
) -> Layer:
    entry = checkpoint.tensors.get(f"{name}.weight")
    if entry is None:
        raise CheckpointError(f"{checkpoint.directory}: no tensor {name}.weight; copy the checkpoint again")
    if len(entry.shape) != 2 or entry.dtype not in FLOAT_DTYPES:
        raise CheckpointError(
            f"{checkpoint.directory}: {name}.weight is {entry.dtype}{list(entry.shape)}; "
            "a matrix of float32, bfloat16 or float16 was expected"
        )
    rows, cols = entry.shape
    return Layer(name, component, block, layer_type, (rows, cols), entry.dtype, siblings)
