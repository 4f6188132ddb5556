"""Reference captions: five styles that say more or less about the same objects."""

from zoo.scenes.objects import SceneObject
from zoo.scenes.vocabulary import NUMBERS, at_cell, enumerated, with_article

CAPTION_PROMPTS = ("describe the image.", "what is in the image?", "write a caption.")
"""The instructions that ask for a caption."""


def references(objects: tuple[SceneObject, ...]) -> tuple[str, ...]:
    """Five captions, objects in reading order. The first names everything; the last two leave things out."""
    placed = enumerated([f"{with_article(each.full_noun)} {at_cell(each.cell)}" for each in objects])
    briefly_placed = enumerated([f"{with_article(each.noun)} {at_cell(each.cell)}" for each in objects])
    unplaced = enumerated([with_article(each.full_noun) for each in objects])
    count = f"{NUMBERS[len(objects)]} object{'s' if len(objects) > 1 else ''}"
    return (
        f"{placed}.",
        f"there is {placed}.",
        f"an image of {count}: {unplaced}.",
        f"a picture with {briefly_placed}.",
        f"the image shows {unplaced}.",
    )
