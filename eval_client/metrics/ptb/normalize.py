"""What becomes of the text of a token: quotes, brackets, dashes, currency signs, soft hyphens.

Each function maps the matched text to the token; NEWLINE and None stand for no token.
"""

from __future__ import annotations

from collections.abc import Callable

Normalizer = Callable[[str], str | None]

NO_BREAK_SPACE = "\u00a0"
SOFT_HYPHEN = "\u00ad"

_QUOTES = str.maketrans(
    {
        "\u0091": "`", "‘": "`", "‛": "`", "‹": "`",
        "\u0092": "'", "’": "'", "›": "'",
        "\u0093": "``", "“": "``", "«": "``",
        "\u0094": "''", "”": "''", "»": "''",
    }
)  # fmt: skip
_CURRENCY = str.maketrans({"¢": "cents", "£": "#", "\u0080": "$", "¤": "$", "\u20a0": "$", "€": "$"})
_PARENTHESES = str.maketrans({"(": "-LRB-", ")": "-RRB-"})
_BRACKETS = str.maketrans(
    {"[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-", "(": "-LRB-", ")": "-RRB-"}
)
_FRACTIONS = str.maketrans({"¼": "1/4", "½": "1/2", "¾": "3/4", "\u2153": "1/3", "\u2154": "2/3"})


def keep(text: str) -> str:
    """The text as it is."""
    return text


def drop(_text: str) -> None:
    """No token."""
    return None


def all_but_two(text: str) -> str:
    """The first word of two that are written as one, where the second has two letters."""
    return text[:-2]


def all_but_three(text: str) -> str:
    """The first word of two that are written as one, where the second has three letters."""
    return text[:-3]


def acronym(text: str) -> str:
    """An acronym with its stop; a single letter without it."""
    return text[:-1] if len(text) == 2 else text


def without_soft_hyphens(text: str) -> str:
    """The text without soft hyphens; a hyphen where nothing else is left."""
    return text.replace(SOFT_HYPHEN, "") or "-" if SOFT_HYPHEN in text else text


def opening_quote(text: str) -> str:
    """Quotes as TeX writes them, straight ones taken as opening."""
    return _quotes(text, "`")


def closing_quote(text: str) -> str:
    """Quotes as TeX writes them, straight ones taken as closing."""
    return _quotes(text, "'")


def _quotes(text: str, straight: str) -> str:
    text = text.replace("&apos;", straight).replace("'", straight)
    text = text.replace('"', straight * 2).replace("&quot;", straight * 2)
    return text.translate(_QUOTES)


def ampersand(text: str) -> str:
    """The text with the entity written as a character."""
    start = text.lower().find("&amp;")
    while start >= 0:
        text = text[:start] + "&" + text[start + 5 :]
        start = text.lower().find("&amp;", start + 1)
    return text


def currency(text: str) -> str:
    """Signs of currencies that the Treebank had no sign for as `$`, `#` and `cents`."""
    return text.translate(_CURRENCY)


def brackets(text: str) -> str:
    """The Treebank's name of a bracket."""
    return text.translate(_BRACKETS)


def smiley(text: str) -> str:
    """A smiley with the Treebank's names of parentheses in it."""
    return text.translate(_PARENTHESES)


def fraction_sign(text: str) -> str:
    """A one-character fraction spelt out, where the Treebank lexer knows it."""
    return text.translate(_FRACTIONS)


def one_word(text: str) -> str:
    """The text with its spaces made unbreakable, so that it stays one token."""
    return text.replace(" ", NO_BREAK_SPACE)


def phone_number(text: str) -> str:
    """A telephone number as one token."""
    return smiley(one_word(text))


def dashes(text: str) -> str:
    """Three or four hyphens are a dash; other numbers of them stay."""
    return "--" if len(text) in (3, 4) else text


def dash(_text: str) -> str:
    """A dash."""
    return "--"


def ellipsis(_text: str) -> str:
    """An ellipsis."""
    return "..."


def less_than(_text: str) -> str:
    """A less-than sign, also written as an entity."""
    return "<"


def greater_than(_text: str) -> str:
    """A greater-than sign, also written as an entity."""
    return ">"
