"""Prompt presets and how one is chosen."""

import pytest
from pydantic import ValidationError

from bitloom.errors import InputError
from eval_client.prompts import PRESETS, choose_prompts
from zoo.scenes import CAPTION_PROMPTS, match_question


@pytest.mark.parametrize(
    ("model", "base", "dataset", "name"),
    [
        ("v8", "zoo/tiny-llava", "scenes", "zoo"),
        ("v8", "zoo/tiny-blip2", "scenes", "zoo-blip2"),
        ("blip2-opt-2.7b", "", "folder", "blip2"),
        ("v8", "llava-hf/llava-1.5-7b-hf", "coco", "llava"),
        ("v8", "", "vqa", "llava"),
    ],
)
def test_auto_goes_by_data_and_model(model: str, base: str, dataset: str, name: str) -> None:
    assert choose_prompts("auto", model=model, base=base, dataset=dataset).name == name


def test_a_preset_by_name_wins() -> None:
    assert choose_prompts("paper", model="m", base="", dataset="scenes").name == "paper"


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="choose one of auto, zoo"):
        choose_prompts("lava", model="m", base="", dataset="scenes")


def test_the_zoo_is_asked_as_it_was_trained() -> None:
    zoo = PRESETS["zoo"]
    assert zoo.caption in CAPTION_PROMPTS
    assert zoo.ask_match("a red circle.") == match_question("a red circle.")
    assert zoo.ask("what {color}?") == "what {color}?"


def test_a_template_must_have_its_place() -> None:
    with pytest.raises(ValidationError, match=r"must hold \{question\}"):
        PRESETS["zoo"].model_validate(PRESETS["zoo"].model_dump() | {"question": "?"})
