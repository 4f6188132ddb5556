"""The sample sheet: pictures with references and answers, as one PNG for documents."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from eval_client.report.examples import Example
from eval_client.report.fonts import drawable
from eval_client.report.plots import color_of
from eval_client.report.text import visible

_COLUMNS = 2
_COLUMN_INCHES = 7.0
_ROW_INCHES = 1.75
_TEXT_WIDTH = 68
_LINE_INCHES = 0.165


def sample_sheet(examples: Sequence[Example]) -> bytes | None:
    """Two samples a row: picture, prompt, reference and every run's answer. None without any picture."""
    shown = [(example, example.image) for example in examples if example.image is not None]
    if not shown:
        return None
    rows = [shown[start : start + _COLUMNS] for start in range(0, len(shown), _COLUMNS)]
    texts = [[_lines(example) for example, _ in row] for row in rows]
    heights = [max(_ROW_INCHES, *((len(lines) + 1) * _LINE_INCHES for lines in row)) for row in texts]
    figure = Figure(figsize=(_COLUMNS * _COLUMN_INCHES, sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(rows), 2 * _COLUMNS, width_ratios=(1, 3) * _COLUMNS, height_ratios=heights)
    for number, row in enumerate(rows):
        for place, (_, image) in enumerate(row):
            picture = figure.add_subplot(grid[number, 2 * place])
            picture.imshow(image.decode(), interpolation="nearest")
            picture.set_axis_off()
            picture.set_anchor("N")
            beside = figure.add_subplot(grid[number, 2 * place + 1])
            _write(beside, texts[number][place], heights[number])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _lines(example: Example) -> list[tuple[str, str]]:
    """Lines of text with their colours."""
    lines = _wrapped(example.prompt, "#37352f")
    lines += _wrapped(f"reference: {example.references[0]}" if example.references else "", "#787774")
    for index, answer in enumerate(example.answers):
        score = "" if answer.score is None else f" ({answer.score:.2f})"
        lines += _wrapped(f"{answer.run}{score}: {answer.text}", color_of(index))
    return lines


def _wrapped(text: str, color: str) -> list[tuple[str, str]]:
    shown = textwrap.shorten(drawable(visible(text)), width=4 * _TEXT_WIDTH, placeholder=" ...")
    return [(line, color) for line in textwrap.wrap(shown, _TEXT_WIDTH)]


def _write(axes: Any, lines: Sequence[tuple[str, str]], height_inches: float) -> None:
    axes.set_axis_off()
    step = _LINE_INCHES / height_inches
    for number, (line, color) in enumerate(lines):
        axes.text(0, 1 - number * step, line, color=color, fontsize=9, va="top", parse_math=False)
