"""Grids are strict files: what does not fit is named before any plan is made."""

from pathlib import Path

import pytest

from bitloom.errors import PlanError
from bitloom.study.grid import Grid, preset_names, read_grid

DOCUMENT = {
    "name": "g",
    "base": "zoo/tiny-llava",
    "axes": {"vision_bits": [2, 4], "front": [0, 1]},
    "rules": [
        {"component": "vision", "bits": "$vision_bits"},
        {"when": "front", "component": "language", "blocks": "front", "bits": 3},
    ],
}
LISTED = {"name": "g", "base": "b", "plans": [{"name": "a", "rules": [{"bits": 4}]}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "colour"),
        ({"rules": [{"colour": "red"}]}, "colour"),
        ({"rules": []}, "axes without rules"),
        ({"axes": {}, "rules": []}, "either axes and rules"),
        ({"plans": LISTED["plans"]}, "either axes and rules"),
        ({"axes": {"vision_bits": [2, 4]}}, r"mention \$front"),
        ({"axes": {**DOCUMENT["axes"], "extra": [1]}}, r"no rule mentions \$extra"),  # type: ignore[dict-item]
        ({"axes": {"vision_bits": [2, 2], "front": [0]}}, "vision_bits has a value twice"),
        ({"axes": {"vision_bits": [], "front": [0]}}, "vision_bits"),
    ],
)
def test_what_makes_no_grid_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Grid.parse({**DOCUMENT, **changes}, source="test")


def test_a_grid_may_list_its_plans() -> None:
    assert Grid.parse(LISTED, source="test").plans[0].name == "a"


def test_when_leaves_a_rule_out_at_zero() -> None:
    grid = Grid.parse(DOCUMENT, source="test")
    assert grid.rules[1].fill({"vision_bits": 2, "front": 0}) is None
    assert grid.rules[0].fill({"vision_bits": 2, "front": 0}) == {"component": "vision", "bits": 2}


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_valid(name: str) -> None:
    assert read_grid(name).name == name


def test_there_are_the_papers_presets_and_a_small_one() -> None:
    assert preset_names() == ["blip2-coco", "llava-vqa", "scenes", "uniform-blocks"]


def test_a_preset_takes_another_base_and_a_missing_file_names_the_presets(tmp_path: Path) -> None:
    assert read_grid("scenes", base="elsewhere").base == "elsewhere"
    with pytest.raises(PlanError, match="presets are blip2-coco"):
        read_grid(str(tmp_path / "none.yaml"))
