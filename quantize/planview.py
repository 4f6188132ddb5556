"""A resolved plan as a reader wants it: runs of layers with one scheme, and what two plans differ in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bitloom.plan import Component, LayerType
from quantize.resolve import ResolvedLayer
from quantize.scheme import Scheme


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """Layers of one type in one component that share a scheme.

    `blocks` reads like a rule's (`0-3,7`), "-" outside blocks; `layers` is their number.
    """

    component: Component
    layer_type: LayerType
    blocks: str
    scheme: Scheme | None
    stored_dense: bool
    layers: int
    weights: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Layers that two plans treat differently: as `LayerGroup`, with both schemes."""

    component: Component
    layer_type: LayerType
    blocks: str
    before: Scheme | None
    after: Scheme | None
    layers: int


def group_layers(layers: Iterable[ResolvedLayer]) -> tuple[LayerGroup, ...]:
    """Every layer in one group, in the model's order."""
    found: dict[tuple[Component, LayerType, Scheme | None, bool], list[ResolvedLayer]] = {}
    for layer in layers:
        key = layer.component, layer.layer_type, layer.scheme, layer.stored_dense is not None
        found.setdefault(key, []).append(layer)
    return tuple(
        LayerGroup(
            component,
            layer_type,
            block_ranges(layer.block for layer in members),
            scheme,
            is_dense,
            len(members),
            sum(layer.shape[0] * layer.shape[1] for layer in members),
        )
        for (component, layer_type, scheme, is_dense), members in found.items()
    )


def differences(before: Sequence[ResolvedLayer], after: Sequence[ResolvedLayer]) -> tuple[Difference, ...]:
    """Where two plans of one checkpoint differ; `before` and `after` are the same layers in one order."""
    found: dict[tuple[Component, LayerType, Scheme | None, Scheme | None], list[ResolvedLayer]] = {}
    for one, other in zip(before, after, strict=True):
        if one.scheme != other.scheme:
            key = one.component, one.layer_type, one.scheme, other.scheme
            found.setdefault(key, []).append(one)
    return tuple(
        Difference(
            component,
            layer_type,
            block_ranges(layer.block for layer in members),
            old,
            new,
            len(members),
        )
        for (component, layer_type, old, new), members in found.items()
    )


def block_ranges(blocks: Iterable[int | None]) -> str:
    """`0-3,7` of block indices; "-" where none has one."""
    known = sorted({block for block in blocks if block is not None})
    if not known:
        return "-"
    starts = [known[0], *(b for a, b in pairwise(known) if b != a + 1)]
    ends = [*(a for a, b in pairwise(known) if b != a + 1), known[-1]]
    return ",".join(
        str(first) if first == last else f"{first}-{last}" for first, last in zip(starts, ends, strict=True)
    )


def describe_scheme(scheme: Scheme | None) -> str:
    """`4 gptq g64`, `8 rtn channel asymmetric`, `8 rtn channel W8A8`, `3 rtn g64 in 4`, or `16`."""
    if scheme is None:
        return "16"
    group = "channel" if scheme.group_size == "channel" else f"g{scheme.group_size}"
    words = [str(scheme.bits), scheme.method, group]
    if not scheme.symmetric:
        words.append("asymmetric")
    if scheme.activations == 8:
        words.append("W8A8")
    if scheme.clip:
        words.append("clip")
    if scheme.container_bits is not None:
        words.append(f"in {scheme.container_bits}")
    return " ".join(words)
