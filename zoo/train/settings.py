"""What is trained and how: the stages, their lengths and learning rates."""

from dataclasses import dataclass
from typing import Final, Literal

Family = Literal["llava", "blip2"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training with one optimizer and one cosine schedule that ends at zero.

    `views` is how many of the student's views of the image are trained (1: patches, 2: queries too);
    `has_language` adds captions and questions. The vision tower learns at `vision_rate` times `rate`.
    """

    name: str
    steps: int
    batch: int
    rate: float
    views: int
    has_language: bool = False
    vision_rate: float = 1.0
    warmup: int = 40


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole training: the same recipe and seed give the same weights on the same machine.

    `row_tokens` is the length of a packed sequence: an image's tokens and as many exchanges as fit.
    """

    family: Family
    stages: tuple[Stage, ...]
    row_tokens: int
    scenes: int = 24_000
    attribute_weight: float = 0.3
    weight_decay: float = 0.05
    seed: int = 0
    save_every: int = 50
    validate_every: int = 150
    validation_scenes: int = 200


RECIPES: Final[dict[Family, Recipe]] = {
    "llava": Recipe(
        family="llava",
        row_tokens=256,
        stages=(
            Stage("vision", steps=800, batch=64, rate=2e-3, views=1),
            Stage("joint", steps=1100, batch=24, rate=1e-3, views=1, has_language=True, vision_rate=0.4),
            Stage("polish", steps=400, batch=24, rate=8e-4, views=1, has_language=True, vision_rate=0.4),
        ),
    ),
    "blip2": Recipe(
        family="blip2",
        row_tokens=224,
        stages=(
            Stage("vision", steps=600, batch=64, rate=2e-3, views=1),
            Stage("queries", steps=250, batch=64, rate=1e-3, views=2, vision_rate=0.4),
            Stage("joint", steps=1600, batch=24, rate=1e-3, views=2, has_language=True, vision_rate=0.4),
        ),
    ),
}
