"""Which foreign formats there are, and how their `quantization_config` says what each module is.

AutoAWQ knows one scheme for all modules but those it names as not converted. GPTQModel adds `dynamic` to
AutoGPTQ's one scheme: regexes, `-:` for modules left dense, `+:` for modules with other fields. Engines that
merge linears look the merged name up, so a regex names it beside its members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bitloom.errors import InputError
from bitloom.plan import GroupSize
from bitloom.variant import LayerRecord
from quantize.families import Family
from quantize.foreign.packing import AWQ_BITS, AWQ_ORDER
from quantize.write.config import module_targets

Format = Literal["awq", "gptq"]
FORMATS: tuple[Format, ...] = ("awq", "gptq")
EXPORT_BITS: Mapping[Format, tuple[int, ...]] = {"awq": (AWQ_BITS,), "gptq": (4, 8)}
"""Widths that engines load from each format."""
_MERGED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}


@dataclass(frozen=True, slots=True)
class _Stored:
    """What `dynamic` can override of a module."""

    bits: int
    group_size: int


def check_exportable(layers: Sequence[LayerRecord], target: Format) -> None:
    """Raise InputError naming the first layer that `target` cannot hold, why, and what to change."""
    packed = [layer for layer in layers if _is_packed(layer)]
    if not packed:
        raise InputError(
            f"no layer of this variant is stored quantized: there is nothing to write as {target}"
        )
    for layer in packed:
        _check_layer(layer, target)
    sizes = {layer.group_size: layer.name for layer in packed}
    if target == "awq" and len(sizes) > 1:
        (size, name), (other, other_name) = list(sizes.items())[:2]
        raise InputError(
            f"{other_name} has group size {other}, {name} {size}: awq holds one group size for the "
            "whole model; quantize with one, or export as gptq"
        )


def export_config(family: Family, layers: Sequence[LayerRecord], target: Format) -> dict[str, Any]:
    """The `quantization_config` of an export."""
    packed = {layer.name: _stored(layer) for layer in layers if _is_packed(layer)}
    dense = [layer.name for layer in layers if layer.name not in packed]
    common = Counter(packed.values()).most_common(1)[0][0]
    if target == "awq":
        return {
            "quant_method": "awq",
            "version": "gemm",
            "bits": common.bits,
            "group_size": common.group_size,
            "zero_point": True,
            "modules_to_not_convert": [family.bare_name(name) for name in dense] or None,
        }
    config: dict[str, Any] = {
        "quant_method": "gptq",
        "checkpoint_format": "gptq",
        "bits": common.bits,
        "group_size": common.group_size,
        "desc_act": False,
        "sym": True,
        "lm_head": any(layer.layer_type == "head" and layer.name in packed for layer in layers),
        "dynamic": _dynamic(family, packed, dense, common),
    }
    if family.bare_prefix:
        config["modules_in_block_to_quantize"] = [family.bare_name(name) for name in packed]
    return config


def _check_layer(layer: LayerRecord, target: Format) -> None:
    bits, possible = layer.container_bits or layer.bits, EXPORT_BITS[target]
    if layer.activations == 8:
        raise InputError(f"{layer.name} is W8A8, which {target} does not know; use activations: 16")
    if bits not in possible:
        widths = " or ".join(map(str, possible))
        raise InputError(
            f"{layer.name} is stored in {bits} bits, but {target} holds {widths}; quantize it with "
            f"bits: {widths}, or fewer with container_bits: {possible[0]}"
        )
    if target == "gptq" and not layer.symmetric:
        raise InputError(
            f"{layer.name} is asymmetric, which engines do not load from gptq; use symmetric: true, "
            "or export as awq"
        )
    if target == "awq" and layer.layer_type == "head":
        raise InputError(f"{layer.name}: awq leaves the head dense; give layers: head 16 bits")
    rows = layer.shape[0]
    step = len(AWQ_ORDER) if target == "awq" else 32 // bits
    if rows % step:
        raise InputError(
            f"{layer.name} has {rows} outputs, but {target} packs them by {step}; leave it dense"
        )


def _is_packed(layer: LayerRecord) -> bool:
    return layer.bits != 16 and layer.stored_dense is None


def _stored(layer: LayerRecord) -> _Stored:
    size: GroupSize | None = layer.group_size
    return _Stored(layer.container_bits or layer.bits, size if isinstance(size, int) else -1)


def _dynamic(
    family: Family, packed: Mapping[str, _Stored], dense: Iterable[str], common: _Stored
) -> dict[str, dict[str, int]]:
    rules: dict[str, dict[str, int]] = {f"-:{regex}": {} for regex in _regexes(family, dense)}
    others: dict[_Stored, list[str]] = {}
    for name, stored in packed.items():
        if stored != common:
            others.setdefault(stored, []).append(name)
    for stored, names in others.items():
        override = {"bits": stored.bits, "group_size": stored.group_size}
        rules |= {f"+:{regex}": override for regex in _regexes(family, names)}
    return rules


def _regexes(family: Family, names: Iterable[str]) -> list[str]:
    names = list(names)
    merged = {
        name.removesuffix(member) + whole
        for name in names
        for whole, members in _MERGED.items()
        for member in members
        if name.endswith(f".{member}") and all(name.removesuffix(member) + m in names for m in members)
    }
    return [target.removeprefix("re:") for target in module_targets(family, [*names, *sorted(merged)])]
