"""A directory holds one search: another one does not take its look-ups for its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitloom.errors import InputError
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
    "change", [{"samples": 64}, {"base": "c"}, {"tasks": ("vqa",)}, {"data": "scenes:test"}]
)
def test_another_search_needs_another_directory(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / REQUEST_NAME).write_text(CONFIG.model_dump_json())
    with pytest.raises(InputError, match="another search"):
        search_base(CONFIG.model_copy(update=change), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [REQUEST_NAME]
