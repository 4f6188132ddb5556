"""The closed vocabulary of the scenes: what an object can be, and the words for it."""

from typing import Final

IMAGE_SIDE: Final = 64
"""Width and height of every scene, in pixels."""

GRID_SIDE: Final = 3
"""Objects sit in the cells of a GRID_SIDE x GRID_SIDE grid, numbered in reading order."""

RGB: Final = {
    "red": (215, 45, 40),
    "orange": (240, 140, 30),
    "yellow": (240, 220, 50),
    "green": (50, 165, 60),
    "cyan": (60, 205, 215),
    "blue": (45, 75, 215),
    "purple": (145, 55, 175),
    "pink": (245, 135, 185),
}
COLORS: Final = tuple(RGB)
SHAPES: Final = ("circle", "square", "triangle", "diamond", "star", "cross", "ring", "heart")
SIZES: Final = ("small", "large")
PATTERNS: Final = ("plain", "striped")
BACKGROUNDS: Final = ("flat", "gradient", "texture", "lines")
NUMBERS: Final = ("zero", "one", "two", "three", "four")
CELLS: Final = (
    "top left",
    "top",
    "top right",
    "left",
    "center",
    "right",
    "bottom left",
    "bottom",
    "bottom right",
)
MAX_OBJECTS: Final = len(NUMBERS) - 1


def row_and_column(cell: int) -> tuple[int, int]:
    """Row and column of a cell, both counted from the top left."""
    return divmod(cell, GRID_SIDE)


def with_article(noun_phrase: str) -> str:
    """`a red circle`, `an orange ring`."""
    return f"{'an' if noun_phrase[0] in 'aeiou' else 'a'} {noun_phrase}"


def plural(noun: str) -> str:
    """`circles`, `crosses`."""
    return noun + ("es" if noun.endswith("s") else "s")


def at_cell(cell: int) -> str:
    """A cell as an adverbial: `at the top`, `in the bottom left`."""
    name = CELLS[cell]
    preposition = {"left": "on", "right": "on", "top": "at", "bottom": "at"}.get(name, "in")
    return f"{preposition} the {name}"


def enumerated(phrases: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(phrases) == 1:
        return phrases[0]
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"
