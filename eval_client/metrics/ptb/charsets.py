"""Sets of characters, with the Unicode classes of the lexer that pycocoevalcap runs.

That lexer was generated for Unicode 6.1 and reads UTF-16 units. A letter that Unicode assigned later,
and every character above U+FFFF, is unknown to it, whatever this Python knows about them.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import cache

# Letters and digits that Unicode assigned after version 6.1, as "first-last" in hexadecimal.
_ASSIGNED_LATER = """
37F 528-52F 560 588 5EF 860-86A 870-887 889-88E 8A1 8AD-8C9 978 980 9FC AF9 C34 C5A C5D C80 CDD D04
D54-D56 D5F DE6-DEF E86 E89 E8C E8E-E93 E98 EA0 EA8-EA9 EAC 13F5 13F8-13FD 16F1-16F8 170D 171F 1878
191D-191E 19B0-19C0 19C8-19C9 1B4C 1C80-1C8A 1C90-1CBA 1CBD-1CBF 1CF2-1CF3 1CFA 2C2F 2C5F 312E-312F
31BB-31BF 4DB6-4DBF 9FCD-9FFF A698-A69D A78F A794-A79F A7AB-A7DC A7F1-A7F7 A8FD-A8FE A9E0-A9E4 A9E6-A9FE
AA7E-AA7F AB30-AB5A AB5C-AB69 AB70-ABBF
"""

# Characters that a literal of a caseless rule matches besides its own two cases.
_CASE_VARIANTS = {"s": "ſ", "k": "\u212a", "i": "\u0130\u0131"}

LAST_KNOWN = "\uffff"


@cache
def _assigned_later() -> frozenset[int]:
    points: set[int] = set()
    for item in _ASSIGNED_LATER.split():
        first, _, last = item.partition("-")
        points.update(range(int(first, 16), int(last or first, 16) + 1))
    return frozenset(points)


def _is_known(char: str) -> bool:
    return char <= LAST_KNOWN and ord(char) not in _assigned_later()


def is_letter(char: str) -> bool:
    """A letter (general category L*) of Unicode 6.1 in the Basic Multilingual Plane."""
    if char in "\u1885\u1886":  # letters until Unicode 9, combining marks since
        return True
    return char.isalpha() and _is_known(char)


def is_digit(char: str) -> bool:
    """A decimal digit (category Nd) of Unicode 6.1 in the Basic Multilingual Plane."""
    return unicodedata.category(char) == "Nd" and _is_known(char)


def is_uppercase(char: str) -> bool:
    """An upper-case character of Unicode 6.1, circled and Roman-numeral capitals included."""
    if "\u13a0" <= char <= "\u13f5":  # Cherokee had no case before Unicode 8
        return False
    return char.isupper() and _is_known(char)


_NAMED = {"letter": is_letter, "digit": is_digit, "uppercase": is_uppercase}


@dataclass(frozen=True, slots=True)
class CharSet:
    """Characters given by ranges and named classes, or all others where `negated`."""

    ranges: tuple[tuple[str, str], ...] = ()
    named: frozenset[str] = field(default_factory=frozenset)
    negated: bool = False

    def contains(self, char: str) -> bool:
        """Whether the set holds `char`."""
        found = any(first <= char <= last for first, last in self.ranges)
        found = found or any(_NAMED[name](char) for name in self.named)
        return found != self.negated


def caseless(char: str) -> CharSet:
    """The set that a literal character matches when case is ignored."""
    folded = char.lower()
    variants = {char, folded, char.upper(), *_CASE_VARIANTS.get(folded, "")}
    return CharSet(tuple((variant, variant) for variant in sorted(variants) if len(variant) == 1))
