"""The parts of a model that a search may set apart, and the levels that each may have.

A part is a component, a block group and a layer type, so that a plan is one level for each part: bits and
method in one. A level's number is its bits; of the methods, with zero points or without, the one with the
least predicted loss stands for the width, since no engine cares what chose the integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitloom.errors import InputError, PlanError
from bitloom.plan import Calibration, Plan
from bitloom.study.search.space import Space
from bitloom.variant import Footprint

BITS = (2, 3, 4, 5, 6, 8)
METHODS = ("rtn", "gptq", "awq")
ASYMMETRIC_UP_TO = 4
"""Bits at which zero points are tried: with few levels, one that a group does not use is a loss."""
GROUP_SIZE = 64
WHOLE = 16
GROUPS = ("front", "middle", "end")
CANDIDATES: tuple[dict[str, str], ...] = (
    *({"component": "vision", "blocks": group} for group in GROUPS),
    {"component": "connector"},
    *(
        {"component": "language", "blocks": group, "layers": layers}
        for group in GROUPS
        for layers in ("attention", "mlp")
    ),
    {"component": "language", "layers": "head"},
)
Sizes = Callable[[Sequence[Plan]], Sequence[Footprint]]
Losses = Callable[[Sequence[Plan]], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Part:
    """Layers that get one level: the place of a rule, and a name for tables."""

    name: str
    place: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Choice:
    """How a part is brought to a width."""

    method: str
    symmetric: bool = True

    def __str__(self) -> str:
        return self.method if self.symmetric else f"{self.method}-asymmetric"


@dataclass(frozen=True, slots=True)
class PlanSpace:
    """Parts of one base with the choice that stands for each (part, bits), and their space."""

    base: str
    parts: tuple[Part, ...]
    choices: Mapping[tuple[str, int], Choice]
    space: Space
    calibration: Calibration

    def plan(self, values: Mapping[str, float], name: str) -> Plan:
        """The plan of one point: bits by part. 16 leaves a part as it is."""
        chosen = [(part, int(values[part.name])) for part in self.parts]
        rules = [_rule(part, bits, self.choices[part.name, bits]) for part, bits in chosen if bits != WHOLE]
        return _plan(self.base, name, rules, self.calibration)


def parts_of(base: str, sizes: Sizes, calibration: Calibration) -> tuple[Part, ...]:
    """The candidates that match layers of this checkpoint and get smaller; InputError where none does.

    What the engine keeps dense whatever its bits (BLIP-2's Q-Former in vLLM) is left as it is.
    """
    whole = sizes([_plan(base, "base", [{"bits": WHOLE}], calibration)])[0].stored_bytes
    found = []
    for place in CANDIDATES:
        part = Part("_".join(place.values()), place)
        try:
            lowered = sizes([_plan(base, part.name, [_rule(part, 8, Choice("rtn"))], calibration)])[0]
        except PlanError:
            continue
        if lowered.stored_bytes < whole:
            found.append(part)
    if not found:
        raise InputError(f"{base}: no component, block group or layer type of it can be quantized")
    return tuple(found)


def open_space(
    base: str, sizes: Sizes, losses: Losses, *, unit: str, calibration: Calibration | None = None
) -> PlanSpace:
    """The space of a checkpoint: sizes of levels from headers, losses from one calibration pass.

    Sizes are what a level saves of the base, in bytes or bits per weight; the base's own size is counted
    with the first part, so that sizes of parts add up to a plan's.
    """
    calibration = calibration or Calibration(mode="independent")
    parts = parts_of(base, sizes, calibration)
    whole = sizes([_plan(base, "base", [{"bits": WHOLE}], calibration)])[0]
    cells = [(part, bits, choice) for part in parts for bits in BITS for choice in choices_of(bits)]
    plans = [
        _plan(base, f"{part.name}.{bits}.{choice}", [_rule(part, bits, choice)], calibration)
        for part, bits, choice in cells
    ]
    keys = [(part.name, bits, choice) for part, bits, choice in cells]
    found = dict(zip(keys, losses(plans), strict=True))
    weights = dict(zip(keys, sizes(plans), strict=True))
    choices = {
        (part.name, bits): min(choices_of(bits), key=lambda choice: found[part.name, bits, choice])
        for part in parts
        for bits in BITS
    }
    saved: list[list[float]] = []
    lost: list[list[float]] = []
    for part in parts:
        chosen = [(part.name, bits, choices[part.name, bits]) for bits in BITS]
        saved.append([*(_size(weights[key], unit) - _size(whole, unit) for key in chosen), 0.0])
        lost.append([*(found[key] for key in chosen), 0.0])
    levels = np.array([*BITS, WHOLE], dtype=np.float64)
    offsets = [_size(whole, unit), *([0.0] * (len(parts) - 1))]
    space = Space(
        tuple(part.name for part in parts),
        [levels] * len(parts),
        [np.array(each) + offset for each, offset in zip(saved, offsets, strict=True)],
        [np.array(each) for each in lost],
    )
    return PlanSpace(base, parts, choices, space, calibration)


def _size(footprint: Footprint, unit: str) -> float:
    return footprint.bpw if unit == "bpw" else float(footprint.stored_bytes)


def choices_of(bits: int) -> tuple[Choice, ...]:
    """What may bring a part to a width."""
    kinds = (True, False) if bits <= ASYMMETRIC_UP_TO else (True,)
    return tuple(Choice(method, symmetric) for symmetric in kinds for method in METHODS)


def _rule(part: Part, bits: int, choice: Choice) -> dict[str, object]:
    rule = {**part.place, "bits": bits, "method": choice.method, "group_size": GROUP_SIZE}
    return rule if choice.symmetric else {**rule, "symmetric": False}


def _plan(base: str, name: str, rules: Sequence[Mapping[str, object]], calibration: Calibration) -> Plan:
    document = {
        "name": name,
        "base": base,
        "rules": [dict(rule) for rule in rules] or [{"bits": WHOLE}],
        "calibration": calibration.model_dump(),
    }
    return Plan.parse(document, source=f"plan {name}")
