"""The committed weights are small, load with stock transformers, and really see."""

from pathlib import Path

import pytest

from zoo.evaluate.subject import Subject
from zoo.scenes import scene

ZOO = Path(__file__).parents[3] / "zoo"
MODELS = ("tiny-llava", "tiny-blip2")
MEGABYTE = 2**20
SCENES = 12
ACCURACY_FLOOR = 0.75
"""Far below what the cards say, far above guessing (about 0.3)."""


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_small(name: str) -> None:
    assert (ZOO / name / "model.safetensors").stat().st_size <= 12 * MEGABYTE


@pytest.mark.parametrize("name", MODELS)
def test_weights_answer_validation_questions(name: str) -> None:
    subject = Subject(ZOO / name)
    asked = [
        (drawn.render(), question)
        for drawn in (scene("validation", index) for index in range(SCENES))
        for question in drawn.questions()
    ]
    answers = subject.answer([image for image, _ in asked], [question.text for _, question in asked])
    right = sum(answer == question.answer for answer, (_, question) in zip(answers, asked, strict=True))
    assert right / len(asked) >= ACCURACY_FLOOR


@pytest.mark.parametrize("name", MODELS)
def test_weights_caption_a_scene(name: str) -> None:
    drawn = next(each for each in (scene("validation", i) for i in range(20)) if len(each.objects) == 1)
    (caption,) = Subject(ZOO / name).caption([drawn.render()])
    assert drawn.objects[0].noun in caption
