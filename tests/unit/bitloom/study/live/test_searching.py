"""A directory holds one search: another one does not take its look-ups for its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitloom.errors import DataError, InputError
from bitloom.study.live.searching import REQUEST_NAME, SearchConfig, search_base

CONFIG = SearchConfig(
    base="b",
    budget="3.5bpw",
    floor=None,
    data="scenes:validation",
    tasks=("caption",),
    samples=200,
    lookups=24,
)


@pytest.mark.parametrize(
    "change",
    [
        {"samples": 64},
        {"base": "c"},
        {"tasks": ("vqa",)},
        {"data": "scenes:test"},
        {"held_out": "scenes:train"},
    ],
)
def test_another_search_needs_another_directory(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / REQUEST_NAME).write_text(CONFIG.model_dump_json())
    with pytest.raises(InputError, match="another search"):
        search_base(CONFIG.model_copy(update=change), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [REQUEST_NAME]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"held_out": "coco:nowhere.json:nowhere"}, "nowhere"),
        ({"budget": None, "floor": "BLEU=0.9"}, "none of the scores CIDEr, score"),
        ({"budget": "lots"}, "neither bits per weight"),
    ],
)
def test_a_wrong_goal_or_data_set_is_said_before_the_model_is_read(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    """The base `b` does not exist: to look at it would be another error, and later a search in vain."""
    asked = CONFIG.model_copy(update={"samples": 2, **change})
    with pytest.raises((DataError, InputError), match=message):
        search_base(asked, tmp_path)
