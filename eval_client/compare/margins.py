"""How much may be lost before it matters: the margins of equivalence, by metric."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bitloom.errors import InputError

DEFAULT_MARGIN = 0.02
"""Two percentage points of an accuracy or recall; of a score without a bound (CIDEr), that share of A's."""


@dataclass(frozen=True, slots=True)
class Margins:
    """`everywhere` holds for every metric that has none of its own; None is the default."""

    everywhere: float | None = None
    by_name: dict[str, float] = field(default_factory=dict)

    def of(self, name: str, scale: float) -> float:
        """The margin of a metric; `scale` is what the default is a share of."""
        if name in self.by_name:
            return self.by_name[name]
        return DEFAULT_MARGIN * scale if self.everywhere is None else self.everywhere

    def check(self, names: Iterable[str]) -> None:
        """Raise InputError for a margin of a metric that is not compared."""
        known = list(names)
        if strangers := sorted(self.by_name.keys() - set(known)):
            names_known = ", ".join(known) or "none"
            raise InputError(f"--margin {strangers[0]}: no such metric in both runs; they have {names_known}")


def parse_margins(text: str | None) -> Margins:
    """`0.01`, `CIDEr=0.05,vqa_accuracy=0.01`, or both kinds in one list. Raises InputError."""
    everywhere: float | None = None
    by_name: dict[str, float] = {}
    for part in (text or "").split(",") if text is not None else ():
        name, has_name, number = part.strip().rpartition("=")
        value = _positive(text or "", part, number)
        if has_name and name:
            by_name[name] = value
        elif has_name or everywhere is not None:
            raise _not_understood(text or "", part)
        else:
            everywhere = value
    return Margins(everywhere, by_name)


def _positive(text: str, part: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        raise _not_understood(text, part) from None
    if not 0 < value < float("inf"):
        raise _not_understood(text, part)
    return value


def _not_understood(text: str, part: str) -> InputError:
    return InputError(
        f"--margin {text!r}: {part!r} is not understood; give a number above 0, "
        "or CIDEr=0.05,vqa_accuracy=0.01"
    )
