"""Text that models wrote is shown, and can do nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_client.report.text import markdown_cell, visible


@given(st.text(max_size=300))
def test_everything_shown_can_be_seen_and_stands_on_one_line(text: str) -> None:
    shown = visible(text)
    seen = shown.replace("\u200c", "").replace("\u200d", "")
    assert all(letter.isprintable() or letter.isspace() for letter in seen)
    assert len(shown.splitlines()) <= 1


@given(st.text(alphabet="|<>[]()`*_$&@:/w.a\n\\", max_size=80))
def test_no_cell_of_markdown_ends_early_or_links(text: str) -> None:
    cell = markdown_cell(text)
    bare = cell.replace("\\\\", "")
    assert bare.count("|") == bare.count("\\|")
    assert bare.count("<") == bare.count("\\<")
    assert "://" not in cell
    assert "www." not in cell
    assert "\n" not in cell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("zwei R\u00e4der \u4e24\u4e2a", "zwei R\u00e4der \u4e24\u4e2a"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("a\u200db", "a\\u200db"),
    ],
)
def test_other_scripts_stay_and_controls_are_named(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_what_is_left_out_is_counted() -> None:
    assert visible("x" * 10**6) == "x" * 600 + " … [999,400 of 1,000,000 characters not shown]"
    assert visible("x" * 600) == "x" * 600
