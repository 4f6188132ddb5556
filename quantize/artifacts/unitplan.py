"""What one plan wants of one unit: schemes, smoothing pairs, and the keys of the artifacts they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantize.artifacts.keys import WeightHashes, layer_key, smoothing_key
from quantize.calibration.units import Unit
from quantize.checkpoint import Checkpoint
from quantize.families.smoothing import Feeds, config_section, smoothing_pairs
from quantize.options import GptqOptions
from quantize.resolve import ResolvedLayer
from quantize.scheme import Scheme


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """A unit under one plan. `schemes` and `layer_keys` go by layer name, `pair_keys` by active pair.

    `unsmoothed` names the AWQ layers that no pair can smooth: they get the clip search alone.
    """

    unit: Unit
    schemes: Mapping[str, Scheme]
    pair_keys: Mapping[Feeds, str]
    layer_keys: Mapping[str, str]
    head_size: int | None
    unsmoothed: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """All artifacts of this unit."""
        return (*self.pair_keys.values(), *self.layer_keys.values())


def plan_unit(
    checkpoint: Checkpoint,
    hashes: WeightHashes,
    unit: Unit,
    layers: Mapping[str, ResolvedLayer],
    statistics: str,
    options: GptqOptions,
) -> UnitPlan:
    """Keys of a unit's artifacts under `layers` (by name) and statistics of that identity."""
    schemes = {
        layer.name: scheme for layer in unit.layers if (scheme := layers[layer.name].scheme) is not None
    }
    head_size = unit_head_size(checkpoint, unit)
    pairs = {
        pair: _pair_key(hashes, unit, pair, schemes, head_size, statistics)
        for pair in unit_pairs(checkpoint, unit)
        if _is_active(unit, pair, schemes)
    }
    keys = {
        name: layer_key(
            hashes.of(f"{name}.weight") or "",
            scheme,
            name,
            statistics,
            _pairs_of(unit, name, pairs),
            options,
        )
        for name, scheme in schemes.items()
    }
    smoothed = {f"{unit.name}.{linear}" for pair in pairs for linear in pair.linears}
    unsmoothed = tuple(n for n, scheme in schemes.items() if scheme.method == "awq" and n not in smoothed)
    return UnitPlan(unit, schemes, pairs, keys, head_size, unsmoothed)


def unit_pairs(checkpoint: Checkpoint, unit: Unit) -> tuple[Feeds, ...]:
    """Smoothing pairs of a unit whose linears all exist (a Q-Former attends to the image in some blocks)."""
    if unit.prefix is None:
        return ()
    names = {unit.relative(layer.name) for layer in unit.layers}
    pairs = smoothing_pairs(checkpoint.family, checkpoint.config, unit.prefix)
    return tuple(pair for pair in pairs if names.issuperset(pair.linears))


def unit_head_size(checkpoint: Checkpoint, unit: Unit) -> int | None:
    """Size of the attention heads of a unit's component, from the config; None where it does not say."""
    if unit.prefix is None:
        return None
    section = config_section(checkpoint.config, unit.layers[0].component)
    if section.get("head_dim"):
        return int(section["head_dim"])
    width, heads = section.get("hidden_size"), section.get("num_attention_heads")
    return int(width) // int(heads) if width and heads else None


def _is_active(unit: Unit, pair: Feeds, schemes: Mapping[str, Scheme]) -> bool:
    """AWQ smooths a pair where its linears are AWQ's, and a linear that gives up scales is too."""
    members = [*pair.linears, *([] if pair.is_norm else [pair.source])]
    found = [schemes.get(f"{unit.name}.{member}") for member in members]
    return all(scheme is not None and scheme.method == "awq" for scheme in found)


def _pair_key(
    hashes: WeightHashes,
    unit: Unit,
    pair: Feeds,
    schemes: Mapping[str, Scheme],
    head_size: int | None,
    statistics: str,
) -> str:
    names = [f"{pair.source}.weight", f"{pair.source}.bias", *(f"{each}.weight" for each in pair.linears)]
    weights = {name: hashes.of(f"{unit.name}.{name}") for name in names}
    own = {each: schemes[f"{unit.name}.{each}"] for each in pair.linears}
    return smoothing_key(weights, own, head_size, statistics)


def _pairs_of(unit: Unit, name: str, pairs: Mapping[Feeds, str]) -> tuple[str, ...]:
    relative = unit.relative(name)
    return tuple(key for pair, key in pairs.items() if relative in pair.linears or relative == pair.source)
