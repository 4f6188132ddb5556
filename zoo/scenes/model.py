"""A scene: what is in the picture, and the picture, captions and questions that follow from it."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from PIL import Image

from zoo.scenes import captions, questions, raster
from zoo.scenes.objects import SceneObject, change_one_attribute, description_hash
from zoo.scenes.questions import Question
from zoo.scenes.splits import split_owning
from zoo.scenes.vocabulary import BACKGROUNDS

_DISTRACTOR_TRIES = 400


@dataclass(frozen=True, slots=True)
class Scene:
    """One to four objects on a background; everything else is a pure function of these fields.

    `objects` are in reading order. `background` and `pixel_seed` change the pixels but not what is said
    about them, so they are no part of the description. `name` is `split:index`, with `~n` for distractors.
    """

    name: str
    objects: tuple[SceneObject, ...]
    background: str = field(compare=False)
    pixel_seed: int = field(compare=False)

    @classmethod
    def of(cls, name: str, objects: tuple[SceneObject, ...], rng: np.random.Generator) -> Self:
        """A scene of these objects with a random background and random pixels."""
        background = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))]
        return cls(name, objects, background, int(rng.integers(2**31)))

    def render(self) -> Image.Image:
        """The picture: RGB, 64 x 64."""
        return Image.fromarray(raster.draw(self.objects, self.background, self.pixel_seed))

    def captions(self) -> tuple[str, ...]:
        """Five reference captions in five styles; the first is the most complete one."""
        return captions.references(self.objects)

    def questions(self, draw: int = 0, with_match: bool = False) -> tuple[Question, ...]:
        """About one question of every kind that makes sense here; other `draw`s ask about other objects.

        `with_match` adds a yes/no question of image-text matching, whose wrong captions are wrong in one
        attribute. The models of the zoo were not trained to answer it.
        """
        return questions.ask(self.objects, (self.pixel_seed, draw), with_match)

    def distractors(self, count: int) -> tuple["Scene", ...]:
        """Up to `count` scenes of the same split, each different from this one in exactly one attribute.

        Their descriptions differ from one another too. A scene with one object may have fewer such
        neighbours in its split than were asked for.
        """
        split = split_owning(self.objects)
        rng = np.random.default_rng((self.pixel_seed, len(self.name)))
        found: dict[tuple[SceneObject, ...], Scene] = {}
        for _ in range(_DISTRACTOR_TRIES):
            if len(found) == count:
                break
            objects = change_one_attribute(self.objects, rng)
            if split.owns(objects) and objects not in found:
                found[objects] = Scene.of(f"{self.name}~{len(found)}", objects, rng)
        return tuple(found.values())

    def description_hash(self) -> str:
        """SHA-256 of what is in the scene (not of its pixels): equal for scenes that read the same."""
        return description_hash(self.objects)
