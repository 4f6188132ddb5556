"""The training data: pictures, what stands in their cells, and exchanges about them."""

from dataclasses import dataclass

import numpy as np
import torch

from zoo.scenes import Scene, scene
from zoo.train.packing import Exchange
from zoo.train.probe import cell_labels
from zoo.train.prompts import CAPTION, PromptFormat

_CAPTION_STYLE_ODDS = (0.5, 0.2, 0.1, 0.1, 0.1)
_ANSWER_WEIGHT = 2.0
_DRAWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Lessons:
    """Scenes of a split, drawn: images uint8 [scenes, 3, side, side] and labels (see `cell_labels`)."""

    scenes: list[Scene]
    images: torch.Tensor
    labels: torch.Tensor


def load_lessons(split: str, count: int) -> Lessons:
    """Draw the first `count` scenes of a split (about 1.5 ms a scene)."""
    scenes = [scene(split, index) for index in range(count)]
    images = np.stack([np.asarray(each.render()) for each in scenes])
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return Lessons(scenes, pixels, cell_labels(scenes))


def draw_exchanges(drawn: Scene, prompts: PromptFormat, rng: np.random.Generator) -> list[Exchange]:
    """One caption in a random style, then different questions in random order, more than fit into a row."""
    captions = drawn.captions()
    caption = captions[int(rng.choice(len(captions), p=_CAPTION_STYLE_ODDS))]
    exchanges = [Exchange(prompts.prompt(CAPTION, rng), caption)]
    first, second = (drawn.questions(draw) for draw in rng.integers(1, _DRAWS, 2))
    asked = list(dict.fromkeys((*first, *second)))
    for index in rng.permutation(len(asked)):
        question = asked[int(index)]
        exchanges.append(Exchange(prompts.prompt(question.text, rng), question.answer, _ANSWER_WEIGHT))
    return exchanges
