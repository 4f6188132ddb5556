"""Pictures, captions and distractors follow from the objects of a scene."""

import re
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.scenes import IMAGE_SIDE, Scene, SceneObject, scene
from zoo.scenes.vocabulary import CELLS, COLORS, GRID_SIDE, PATTERNS, RGB, SHAPES, SIZES

REACH = 19
"""No pixel further from its cell's centre belongs to an object: offset 2.6, radius 10 and a star's points."""

_PHRASE = re.compile(
    rf"an? (?P<size>{'|'.join(SIZES)}) (?P<striped>striped )?(?P<color>{'|'.join(COLORS)}) "
    rf"(?P<shape>{'|'.join(SHAPES)}) (?:in|on|at) the (?P<cell>(?:top|bottom)?(?: ?(?:left|right|center))?)"
)

scenes = st.builds(scene, st.just("train"), st.integers(0, 99_999))


def parsed(caption: str) -> tuple[SceneObject, ...]:
    """The objects that a caption in the most complete style names."""
    return tuple(
        SceneObject(
            match["color"],
            match["shape"],
            match["size"],
            "striped" if match["striped"] else "plain",
            CELLS.index(match["cell"].strip()),
        )
        for match in _PHRASE.finditer(caption)
    )


@given(scenes)
def test_objects_are_in_reading_order_in_different_cells(drawn: Scene) -> None:
    cells = [each.cell for each in drawn.objects]
    assert 1 <= len(cells) <= 4
    assert cells == sorted(set(cells))
    assert {each.pattern for each in drawn.objects} <= set(PATTERNS)


@given(scenes)
def test_the_complete_captions_say_exactly_what_is_there(drawn: Scene) -> None:
    first, second, *_ = drawn.captions()
    assert parsed(first) == drawn.objects
    assert parsed(second) == drawn.objects


@given(scenes)
def test_five_different_captions(drawn: Scene) -> None:
    captions = drawn.captions()
    assert len(set(captions)) == 5
    for caption in captions:
        assert caption.endswith(".")
        assert all(each.noun.split()[1] in caption for each in drawn.objects)


@given(scenes)
def test_picture_is_reproducible_rgb(drawn: Scene) -> None:
    picture = drawn.render()
    assert picture.mode == "RGB"
    assert picture.size == (IMAGE_SIDE, IMAGE_SIDE)
    assert np.array_equal(np.asarray(picture), np.asarray(drawn.render()))
    assert np.asarray(picture).std() > 1


@given(scenes, st.sampled_from(COLORS))
def test_color_changes_only_the_pixels_of_its_object(drawn: Scene, color: str) -> None:
    changed = replace(drawn.objects[0], color=color)
    recolored = replace(drawn, objects=(changed, *drawn.objects[1:]))
    differs = np.any(np.asarray(drawn.render()) != np.asarray(recolored.render()), axis=-1)
    assert differs.any() == (color != drawn.objects[0].color)
    row, column = divmod(changed.cell, GRID_SIDE)
    rows, columns = np.nonzero(differs)
    pitch = IMAGE_SIDE / GRID_SIDE
    distance = np.hypot(rows + 0.5 - (row + 0.5) * pitch, columns + 0.5 - (column + 0.5) * pitch)
    assert np.all(distance < REACH)


@pytest.mark.parametrize("color", COLORS)
def test_a_large_square_is_of_its_color(color: str) -> None:
    drawn = Scene("by hand", (SceneObject(color, "square", "large", "plain", 4),), "flat", 1)
    side = IMAGE_SIDE // 2
    middle = np.asarray(drawn.render())[side - 3 : side + 3, side - 3 : side + 3].mean((0, 1))
    distances = {name: np.linalg.norm(middle - rgb) for name, rgb in RGB.items()}
    assert min(distances, key=lambda name: float(distances[name])) == color


@given(st.builds(scene, st.just("test"), st.integers(0, 500)))
def test_distractors_differ_in_exactly_one_attribute(drawn: Scene) -> None:
    others = drawn.distractors(3)
    assert len({each.objects for each in others}) == len(others) <= 3
    for other in others:
        assert other.name.startswith(f"{drawn.name}~")
        gone = [each for each in drawn.objects if each not in other.objects]
        come = [each for each in other.objects if each not in drawn.objects]
        assert len(gone) == len(come) == 1
        assert sum(a != b for a, b in zip(astuple(gone[0]), astuple(come[0]), strict=True)) == 1


def test_description_is_of_the_objects_not_of_the_pixels() -> None:
    drawn = scene("test", 3)
    assert replace(drawn, pixel_seed=1, background="flat").description_hash() == drawn.description_hash()
    assert drawn.distractors(1)[0].description_hash() != drawn.description_hash()
