"""A plan against a checkpoint: which scheme each layer gets, or why the plan cannot be.

Only headers are read; everything a plan can get wrong is refused here, before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from bitloom.blocks import parse_blocks, select_blocks
from bitloom.errors import PlanError
from bitloom.plan import Bits, Component, GroupSize, LayerType, Method, Plan, Rule
from quantize.checkpoint import Checkpoint
from quantize.checks import check_fused, check_scheme
from quantize.layers import Layer, count_blocks, list_layers
from quantize.scheme import ScaleDtype, Scheme

SCALE_DTYPES: dict[str, ScaleDtype] = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@dataclass(frozen=True, slots=True)
class ResolvedLayer:
    """One Linear with its scheme; None leaves it as it is.

    `stored_dense` says why the engine can only hold it dense although it has a scheme: its weights
    are rounded as planned, and stored in the checkpoint's own dtype.
    """

    name: str
    component: Component
    block: int | None
    layer_type: LayerType
    shape: tuple[int, int]
    dtype: str
    scheme: Scheme | None
    stored_dense: str | None = None

    @property
    def packed_scheme(self) -> Scheme | None:
        """The scheme that the file stores integers by; None for a dense weight."""
        return None if self.stored_dense else self.scheme


@dataclass(frozen=True, slots=True)
class _Settings:
    bits: Bits = 16
    method: Method = "rtn"
    group_size: GroupSize = 128
    symmetric: bool = True
    activations: Literal[8, 16] = 16
    container_bits: Literal[4, 8] | None = None
    clip: bool = False


def resolve(plan: Plan, checkpoint: Checkpoint) -> tuple[ResolvedLayer, ...]:
    """Every layer of the checkpoint with its scheme.

    Raises PlanError where a rule matches nothing or has no effect, or a layer cannot have the scheme
    that the rules give it.
    """
    layers = list_layers(checkpoint)
    counts = {stack.component: count_blocks(checkpoint, stack) for stack in checkpoint.family.stacks}
    settings = {layer.name: _Settings() for layer in layers}
    matches = [_match(plan, index, layers, counts, checkpoint) for index in range(len(plan.rules))]
    for rule, matched in zip(plan.rules, matches, strict=True):
        for layer in matched:
            settings[layer.name] = replace(settings[layer.name], **rule.settings)  # type: ignore[arg-type]
    for index, matched in enumerate(matches):
        _check_effect(plan, index, [settings[layer.name] for layer in matched])
    resolved = tuple(_resolve_layer(plan, layer, settings[layer.name], checkpoint) for layer in layers)
    check_fused(layers, {layer.name: layer.scheme for layer in resolved})
    return resolved


def notes(resolved: tuple[ResolvedLayer, ...]) -> tuple[str, ...]:
    """What a reader of the variant should know: planned layers that are stored dense, and why."""
    reasons: dict[str, list[str]] = {}
    for layer in resolved:
        if layer.stored_dense:
            reasons.setdefault(layer.stored_dense, []).append(layer.name)
    return tuple(
        f"{len(names)} layers ({names[0]} and others) are rounded as planned but stored dense, "
        f"so they save no bytes: {reason}"
        for reason, names in reasons.items()
    )


def _match(
    plan: Plan,
    index: int,
    layers: tuple[Layer, ...],
    counts: dict[Component, int],
    checkpoint: Checkpoint,
) -> list[Layer]:
    rule = plan.rules[index]
    selected = [layer for layer in layers if rule.component in ("all", layer.component)]
    _check_block_range(plan, index, {layer.component for layer in selected}, counts)
    matched = [layer for layer in selected if _matches_place(rule, layer, counts)]
    if matched:
        return matched
    message = f"{_cite(plan, index)} matches no layer of {checkpoint.directory}"
    if rule.layers == "head" and rule.component in ("all", "language") and checkpoint.has_tied_head:
        raise PlanError(f"{message}: its head is tied to the embeddings, which stay dense; remove the rule")
    raise PlanError(f"{message}; it has {_describe(layers, counts)}")


def _matches_place(rule: Rule, layer: Layer, counts: dict[Component, int]) -> bool:
    if rule.layers not in ("all", layer.layer_type):
        return False
    if layer.block is None:
        return rule.blocks == "all"
    return layer.block in select_blocks(rule.blocks, counts[layer.component])


def _check_block_range(
    plan: Plan, index: int, components: set[Component], counts: dict[Component, int]
) -> None:
    selection = parse_blocks(plan.rules[index].blocks)
    known = [counts[component] for component in components if component in counts]
    if isinstance(selection, frozenset) and known and max(selection) >= max(known):
        raise PlanError(
            f"{_cite(plan, index)}: block {max(selection)} does not exist; "
            f"the selected components have blocks 0-{max(known) - 1}"
        )


def _check_effect(plan: Plan, index: int, settings: list[_Settings]) -> None:
    rule = plan.rules[index]
    if rule.bits is None and all(setting.bits == 16 for setting in settings):
        raise PlanError(
            f"{_cite(plan, index)} sets {', '.join(rule.settings)} only on layers that stay at 16 bits; "
            "set their `bits`, or remove the rule"
        )


def _resolve_layer(plan: Plan, layer: Layer, settings: _Settings, checkpoint: Checkpoint) -> ResolvedLayer:
    scheme = None
    reason = None
    if settings.bits != 16:
        container = None if settings.container_bits == settings.bits else settings.container_bits
        scheme = Scheme(
            bits=settings.bits,
            method=settings.method,
            group_size=settings.group_size,
            symmetric=settings.symmetric,
            activations=settings.activations,
            container_bits=container,
            clip=settings.clip,
            scale_dtype=SCALE_DTYPES[layer.dtype],
        )
        # The reasons are all vLLM's.
        reason = None if plan.engine == "transformers" else checkpoint.family.dense_reason(layer.name)
        check_scheme(layer, scheme, is_stored_dense=reason is not None)
    return ResolvedLayer(
        layer.name, layer.component, layer.block, layer.layer_type, layer.shape, layer.dtype, scheme, reason
    )


def _cite(plan: Plan, index: int) -> str:
    rule = plan.rules[index]
    return (
        f"plan {plan.name}: rule {index + 1} "
        f"(component {rule.component}, blocks {rule.blocks}, layers {rule.layers})"
    )


def _describe(layers: tuple[Layer, ...], counts: dict[Component, int]) -> str:
    """`vision: 4 blocks, attention mlp; connector: no blocks, mlp; ...`."""

    def parts() -> Iterator[str]:
        for component in dict.fromkeys(layer.component for layer in layers):
            types = dict.fromkeys(layer.layer_type for layer in layers if layer.component == component)
            blocks = f"{counts[component]} blocks" if component in counts else "no blocks"
            yield f"{component}: {blocks}, {' '.join(types)}"

    return "; ".join(parts())
