"""Block selections of a plan: `all`, `front`, `middle`, `end`, or indices such as `0-3,7`."""

from __future__ import annotations

import re
from typing import Literal

BlockGroup = Literal["all", "front", "middle", "end"]
_RANGE = re.compile(r"^(\d+)(?:-(\d+))?$")


def parse_blocks(text: str) -> BlockGroup | frozenset[int]:
    """Parse a block selection; raise ValueError naming the part that is no index or range."""
    match text:
        case "all" | "front" | "middle" | "end":
            return text
    indices: set[int] = set()
    for part in text.split(","):
        found = _RANGE.match(part.strip())
        if not found:
            raise ValueError(
                f"blocks {text!r}: {part!r} is neither all, front, middle, end nor a range such as 0-3"
            )
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise ValueError(f"blocks {text!r}: the range {part.strip()!r} runs backwards")
        indices.update(range(first, last + 1))
    return frozenset(indices)


def select_blocks(text: str, count: int) -> frozenset[int]:
    """Indices of the `count` blocks that `text` selects; thirds are [0, n//3), [n//3, 2n//3), [2n//3, n)."""
    match parse_blocks(text):
        case "all":
            return frozenset(range(count))
        case "front":
            return frozenset(range(count // 3))
        case "middle":
            return frozenset(range(count // 3, 2 * count // 3))
        case "end":
            return frozenset(range(2 * count // 3, count))
        case indices:
            return indices
