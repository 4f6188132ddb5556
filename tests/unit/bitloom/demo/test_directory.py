"""The demo empties its own directory and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitloom.cli.demo import MARK, fresh_directory
from bitloom.errors import InputError


def test_a_directory_that_is_not_a_demos_is_left_alone(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("years of work")

    with pytest.raises(InputError, match="give another --out"):
        fresh_directory(tmp_path)

    assert thesis.read_text() == "years of work"


def test_the_last_demo_is_replaced(tmp_path: Path) -> None:
    out = fresh_directory(tmp_path / "demo")
    (out / "report.html").touch()

    assert [path.name for path in fresh_directory(out).iterdir()] == [MARK]
