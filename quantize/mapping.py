"""AWQ's unit is the mapping group: a norm and the linears it feeds. A plan may not mix schemes inside one.

A norm has one set of scales to give up, which all its linears must take on; a linear that is quantized
otherwise would have to be quantized anew for each choice of the others.
"""

from __future__ import annotations

from collections.abc import Mapping

from bitloom.errors import PlanError
from quantize.artifacts.unitplan import unit_pairs
from quantize.calibration.units import Unit, list_units
from quantize.checkpoint import Checkpoint
from quantize.families.smoothing import Feeds
from quantize.resolve import ResolvedLayer
from quantize.scheme import Scheme


def check_mapping_groups(checkpoint: Checkpoint, layers: tuple[ResolvedLayer, ...]) -> None:
    """Raise PlanError where linears that one norm feeds are not all AWQ with one scheme, or none is."""
    schemes = {layer.name: layer.scheme for layer in layers}
    if not any(scheme is not None and scheme.method == "awq" for scheme in schemes.values()):
        return
    for unit in list_units(checkpoint):
        for pair in unit_pairs(checkpoint, unit):
            if pair.is_norm:
                _check_pair(unit, pair, schemes)


def _check_pair(unit: Unit, pair: Feeds, schemes: Mapping[str, Scheme | None]) -> None:
    members = [f"{unit.name}.{linear}" for linear in pair.linears]
    found = [schemes[member] for member in members]
    if not any(scheme is not None and scheme.method == "awq" for scheme in found):
        return
    for member, scheme in zip(members, found, strict=True):
        if scheme != found[0]:
            raise PlanError(
                f"{members[0]} would be {describe(found[0])}, {member} {describe(scheme)}; awq scales the "
                f"norm that feeds both ({unit.name}.{pair.source}): give both the same method and bits"
            )


def describe(scheme: Scheme | None) -> str:
    """A scheme in words."""
    return "16-bit (dense)" if scheme is None else f"{scheme.bits}-bit {scheme.method}"
