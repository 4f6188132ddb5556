"""The small pattern language of the lexer's rules, and its parser.

    a        the letter in either case; other characters stand for themselves
    [ab-d]   one of these characters, in exactly this case; [^...] any other character
    {NAME}   a pattern defined by name; {letter}, {digit}, {uppercase} are character classes, also in [...]
    x{1,4}   one to four times; x* x+ x? as usual; (x|y) grouping and choice
    .        any character but a line feed
    \\x      the character x itself

Python's `re` cannot serve: the lexer takes the longest match over all rules, `re` the first that fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eval_client.metrics.ptb.charsets import CharSet, caseless

CHARACTER_CLASSES = ("letter", "digit", "uppercase")


@dataclass(frozen=True, slots=True)
class Sequence:
    """Parts that follow one another."""

    parts: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Alternatives."""

    options: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`body`, `least` to `most` times; no upper limit where `most` is None."""

    body: Pattern
    least: int
    most: int | None


Pattern = CharSet | Sequence | Choice | Repeat

_CLASS_NAMES = tuple(f"{name}}}" for name in CHARACTER_CLASSES)
_REPEATS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def parse(source: str, names: Mapping[str, Pattern]) -> Pattern:
    """Parse `source`; `names` holds the patterns it may refer to. ValueError where it is malformed."""
    parser = _Parser(source, names)
    pattern = parser.choice()
    if parser.position != len(source):
        raise ValueError(f"pattern {source!r}: unexpected {source[parser.position]!r} at {parser.position}")
    return pattern


class _Parser:
    def __init__(self, source: str, names: Mapping[str, Pattern]) -> None:
        self.source = source
        self.names = names
        self.position = 0

    def peek(self) -> str:
        return self.source[self.position : self.position + 1]

    def take(self) -> str:
        char = self.peek()
        if not char:
            raise ValueError(f"pattern {self.source!r}: ends too early")
        self.position += 1
        return char

    def choice(self) -> Pattern:
        options = [self.sequence()]
        while self.peek() == "|":
            self.take()
            options.append(self.sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self) -> Pattern:
        parts = []
        while self.peek() and self.peek() not in "|)":
            parts.append(self.repeated())
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self) -> Pattern:
        pattern = self.atom()
        while (char := self.peek()) and (char in _REPEATS or self.at_count()):
            self.take()
            least, most = _REPEATS[char] if char in _REPEATS else self.count()
            pattern = Repeat(pattern, least, most)
        return pattern

    def at_count(self) -> bool:
        return self.peek() == "{" and self.source[self.position + 1 : self.position + 2].isdigit()

    def count(self) -> tuple[int, int]:
        least, _, most = self.until("}").partition(",")
        return int(least), int(most or least)

    def until(self, end: str) -> str:
        start = self.position
        while self.take() != end:
            pass
        return self.source[start : self.position - 1]

    def atom(self) -> Pattern:
        char = self.take()
        if char == "(":
            pattern = self.choice()
            if self.take() != ")":
                raise ValueError(f"pattern {self.source!r}: ')' expected at {self.position - 1}")
            return pattern
        if char == "[":
            return self.char_class()
        if char == "{":
            return self.named(self.until("}"))
        if char == ".":
            return CharSet((("\n", "\n"),), negated=True)
        return caseless(self.take() if char == "\\" else char)

    def named(self, name: str) -> Pattern:
        if name in CHARACTER_CLASSES:
            return CharSet(named=frozenset({name}))
        return self.names[name]

    def char_class(self) -> CharSet:
        negated = self.peek() == "^"
        if negated:
            self.take()
        ranges: list[tuple[str, str]] = []
        named: set[str] = set()
        while (char := self.take()) != "]":
            if char == "{" and self.source.startswith(_CLASS_NAMES, self.position):
                named.add(self.until("}"))
                continue
            first = self.take() if char == "\\" else char
            last = first
            if self.peek() == "-" and self.source[self.position + 1] != "]":
                self.take()
                last = self.take()
                last = self.take() if last == "\\" else last
            ranges.append((first, last))
        return CharSet(tuple(ranges), frozenset(named), negated)
