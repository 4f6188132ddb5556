"""The objects of a scene: how they are drawn at random, and how one attribute of one of them is changed."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from zoo.scenes.vocabulary import CELLS, COLORS, MAX_OBJECTS, PATTERNS, SHAPES, SIZES

_COUNT_ODDS = (0.2, 0.3, 0.3, 0.2)
_REPEAT_ODDS = 0.25
_STRIPED_ODDS = 0.25
_CHANGE_ODDS = {"color": 0.2, "shape": 0.35, "size": 0.15, "pattern": 0.1, "cell": 0.2}


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object: names out of `zoo.scenes.vocabulary`, and the number of its grid cell."""

    color: str
    shape: str
    size: str
    pattern: str
    cell: int

    @property
    def noun(self) -> str:
        """Colour and shape: `red circle`."""
        return f"{self.color} {self.shape}"

    @property
    def full_noun(self) -> str:
        """Every attribute but the place; plain is not said: `small striped red circle`."""
        pattern = "striped " if self.pattern == "striped" else ""
        return f"{self.size} {pattern}{self.noun}"


def random_objects(rng: np.random.Generator) -> tuple[SceneObject, ...]:
    """One to four objects in reading order, in different cells.

    Colours and shapes repeat more often than by chance, so that counting and comparing are not trivial.
    """
    count = 1 + int(rng.choice(MAX_OBJECTS, p=_COUNT_ODDS))
    objects: list[SceneObject] = []
    for cell in rng.permutation(len(CELLS))[:count]:
        color, shape = COLORS[rng.integers(len(COLORS))], SHAPES[rng.integers(len(SHAPES))]
        if objects and rng.random() < _REPEAT_ODDS:
            color = objects[rng.integers(len(objects))].color
        if objects and rng.random() < _REPEAT_ODDS:
            shape = objects[rng.integers(len(objects))].shape
        size = SIZES[rng.integers(len(SIZES))]
        pattern = PATTERNS[int(rng.random() < _STRIPED_ODDS)]
        objects.append(SceneObject(color, shape, size, pattern, int(cell)))
    return in_reading_order(objects)


def in_reading_order(objects: list[SceneObject]) -> tuple[SceneObject, ...]:
    """The objects sorted from the top left to the bottom right."""
    return tuple(sorted(objects, key=lambda each: each.cell))


def change_one_attribute(
    objects: tuple[SceneObject, ...], rng: np.random.Generator
) -> tuple[SceneObject, ...]:
    """The same objects with exactly one attribute of one of them changed."""
    position = int(rng.integers(len(objects)))
    attribute = str(rng.choice(list(_CHANGE_ODDS), p=list(_CHANGE_ODDS.values())))
    old = objects[position]
    taken = {each.cell for each in objects}
    choices: dict[str, list[object]] = {
        "color": [color for color in COLORS if color != old.color],
        "shape": [shape for shape in SHAPES if shape != old.shape],
        "size": [size for size in SIZES if size != old.size],
        "pattern": [pattern for pattern in PATTERNS if pattern != old.pattern],
        "cell": [cell for cell in range(len(CELLS)) if cell not in taken],
    }
    values = choices[attribute]
    new = replace(old, **{attribute: values[int(rng.integers(len(values)))]})  # type: ignore[arg-type]
    return in_reading_order([*objects[:position], new, *objects[position + 1 :]])


def description_hash(objects: tuple[SceneObject, ...]) -> str:
    """SHA-256 (hex) of the objects in reading order."""
    lines = (f"{each.size} {each.pattern} {each.color} {each.shape} @{each.cell}" for each in objects)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
