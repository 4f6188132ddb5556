"""`config.json` of a variant: the base's, plus how each layer is stored, as compressed-tensors says it.

Targets are regexes, one for each kind of linear and scheme: engines name the same module differently
(vLLM has `language_model.model.layers`, transformers 5 `model.language_model.layers`; vLLM's BLIP-2 vision
tower has no prefix at all), and a target that matches nothing makes transformers initialise the
layer at random with no more than a warning. So each regex admits every engine's name, and no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from quantize.families import Family
from quantize.resolve import ResolvedLayer
from quantize.scheme import Scheme

_BLOCK = re.compile(r"\.(\d+)\.")
# What the file's reader must know of a scheme: bits stored, group, symmetry, activations.
_StoredAs = tuple[int, int | str, bool, int]


def variant_config(
    base: Mapping[str, Any], family: Family, layers: tuple[ResolvedLayer, ...]
) -> dict[str, Any]:
    """The config to write: the base's own where no layer is stored quantized."""
    config = dict(base)
    stored: dict[_StoredAs, list[str]] = {}
    dense: list[str] = []
    for layer in layers:
        if layer.packed_scheme is None:
            dense.append(layer.name)
        else:
            stored.setdefault(_stored_as(layer.packed_scheme), []).append(layer.name)
    if stored:
        config["quantization_config"] = _quantization_config(family, stored, dense)
    return config


def module_targets(family: Family, names: Iterable[str]) -> list[str]:
    """Regex targets that name exactly these modules (written names), in any engine."""
    blocks: dict[str, list[str]] = {}
    for name in names:
        found = _BLOCK.search(name)
        if found is None:
            blocks.setdefault(name, [])
        else:
            blocks.setdefault(f"{name[: found.start()]}.{{}}.{name[found.end() :]}", []).append(found[1])
    return [f"re:^{_pattern(family, name, numbers)}$" for name, numbers in blocks.items()]


def _pattern(family: Family, name: str, numbers: list[str]) -> str:
    for prefix, pattern in family.targets:
        if name.startswith(prefix):
            rest = re.escape(name.removeprefix(prefix))
            choice = numbers[0] if len(numbers) == 1 else f"({'|'.join(numbers)})"
            return pattern + rest.replace(r"\{\}", choice)
    raise AssertionError(f"the table of {family.name} has no target for {name}")


def _stored_as(scheme: Scheme) -> _StoredAs:
    return scheme.stored_bits, scheme.group_size, scheme.symmetric, scheme.activations


def _quantization_config(
    family: Family, stored: Mapping[_StoredAs, list[str]], dense: list[str]
) -> dict[str, Any]:
    groups = {
        f"group_{index}": _config_group(key, module_targets(family, names))
        for index, (key, names) in enumerate(stored.items())
    }
    formats = {group["format"] for group in groups.values()}
    return {
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "format": formats.pop() if len(formats) == 1 else "mixed-precision",
        "config_groups": groups,
        "ignore": module_targets(family, dense),
        "kv_cache_scheme": None,
        "global_compression_ratio": None,
    }


def _config_group(key: _StoredAs, targets: list[str]) -> dict[str, Any]:
    bits, group_size, symmetric, activations = key
    is_channel = group_size == "channel"
    weights = {
        "num_bits": bits,
        "type": "int",
        "symmetric": symmetric,
        "strategy": "channel" if is_channel else "group",
        "group_size": None if is_channel else group_size,
        "dynamic": False,
    }
    inputs = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
    return {
        "targets": targets,
        "format": "int-quantized" if activations == 8 else "pack-quantized",
        "weights": weights,
        "input_activations": inputs if activations == 8 else None,
        "output_activations": None,
    }
