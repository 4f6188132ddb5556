"""The model families Bitloom knows. A new one is a table (see `table.Family`) and its entry here."""

from __future__ import annotations

from collections.abc import Sequence

from bitloom.errors import CheckpointError
from quantize.families.blip2 import BLIP2
from quantize.families.blip2_itm import BLIP2_ITM
from quantize.families.llava import LLAVA
from quantize.families.llava_next import LLAVA_NEXT
from quantize.families.qwen25_vl import QWEN25_VL
from quantize.families.table import DenseOnly, Family, Single, Stack

__all__ = ["FAMILIES", "DenseOnly", "Family", "Single", "Stack", "find_family"]

FAMILIES: tuple[Family, ...] = (LLAVA, LLAVA_NEXT, BLIP2, BLIP2_ITM, QWEN25_VL)


def find_family(architectures: Sequence[str], *, source: str) -> Family:
    """The family of a config's `architectures`; CheckpointError naming those that are known."""
    for family in FAMILIES:
        if set(family.architectures) & set(architectures):
            return family
    known = ", ".join(name for family in FAMILIES for name in family.architectures)
    given = ", ".join(architectures) or "none"
    raise CheckpointError(f"{source}: architectures {given}; Bitloom knows {known}")
