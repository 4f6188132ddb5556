"""The closing tables show what was measured and a dash for what was not."""

from __future__ import annotations

import io

from rich.console import Console

from bitloom.demo.table import Difference, against_base, difference, figure

WORSE = Difference("CIDEr", -0.1312, -0.22, -0.041, "worse")


def test_a_difference_is_shown_with_its_interval_and_outcome() -> None:
    assert difference(WORSE) == "-0.131 worse\n-0.220 .. -0.041"


def test_what_was_not_measured_is_a_dash() -> None:
    assert difference(None) == "-"
    assert figure(None, 1e3, ".1f") == "-"
    assert figure(0.0, 1e3, ".1f") == "0.0"


def test_a_task_that_one_variant_lacks_leaves_a_dash_in_its_row() -> None:
    other = Difference("vqa_accuracy", 0.0, -0.01, 0.01, "equivalent")
    out = io.StringIO()

    Console(file=out, width=110).print(against_base({"a": [WORSE, other], "b": [other]}))

    row = next(line for line in out.getvalue().splitlines() if "│ b " in line)
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert cells == ["b", "-", "+0.000 equivalent"]
