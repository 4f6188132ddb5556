"""What a picture can spell: text is drawn with the glyphs that the font has, and never as a formula."""

from __future__ import annotations

from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

_BOX = "\u25a1"
"""Stands for what the font cannot draw: control characters, other scripts."""


def drawable(text: str) -> str:
    """The text on one line, with boxes for what the font lacks."""
    return "".join(letter if ord(letter) in _glyphs() else _BOX for letter in " ".join(text.split()))


def label(name: str, limit: int = 40) -> str:
    """A name for a legend or an axis: dollars start no formula, and a long name is cut."""
    shown = name if len(name) <= limit else f"{name[:limit]}..."
    return drawable(shown).replace("$", r"\$")


@cache
def _glyphs() -> frozenset[int]:
    """Code points that the font has a glyph for."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())
