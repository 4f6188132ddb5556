"""Text that models wrote, made fit to be shown: answers are hostile until they are escaped.

HTML is escaped by the template; here control and format characters are shown by their names (`\\u202e` would
turn a line around, `\\x1b` colour a terminal), and what is too long is cut where everyone sees it.
"""

from __future__ import annotations

import re
import unicodedata

SHOWN_CHARACTERS = 600
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_JOINERS = "\u200c\u200d"
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~&$])")
_LINKS = re.compile(r"://|www\.|@", re.IGNORECASE)


def visible(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """The text on one line: what cannot be seen named, and at most `limit` characters of it.

    Joiners after what is not ASCII stay: Persian, Hindi and emoji are spelled with them.
    """
    kept = text[:limit]
    shown = "".join(_character(letter, before) for letter, before in zip(kept, " " + kept, strict=False))
    if len(text) <= limit:
        return shown
    return f"{shown} … [{len(text) - limit:,} of {len(text):,} characters not shown]"


def markdown_cell(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """The text as a cell of a Markdown table: nothing in it is markup, a link, a mention or a new line."""
    defused = _LINKS.sub(lambda found: f"{found[0][0]}\u200b{found[0][1:]}", visible(text, limit))
    return _MARKDOWN.sub(r"\\\1", defused)


def _character(letter: str, before: str) -> str:
    if letter.isprintable() or (letter in _JOINERS and not before.isascii() and before not in _JOINERS):
        return letter
    if letter in _SHORT:
        return _SHORT[letter]
    if unicodedata.category(letter) not in _UNSEEN:
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
