"""The report as Markdown, with its plots as files beside it."""

from __future__ import annotations

from collections.abc import Sequence

from eval_client.compare.render import LEGEND
from eval_client.report.document import Report
from eval_client.report.examples import Example
from eval_client.report.repeat import Recipe, recipe_text
from eval_client.report.sections import Cell, Table
from eval_client.report.text import markdown_cell


def render_markdown(report: Report, pictures: dict[str, str]) -> str:
    """The report; `pictures` are titles and the names of files in the same directory."""
    lines = [f"# {markdown_cell(report.title)}", "", markdown_cell(report.subtitle), ""]
    lines += _table(report.summary)
    lines += [f"- {markdown_cell(note)}" for note in report.notes]
    for title, name in pictures.items():
        lines += ["", f"## {title}", "", f"![{title}]({name})"]
    for table in report.tables:
        lines += ["", f"## {markdown_cell(table.title)}", "", *_table(table)]
    if report.comparisons:
        lines += ["", LEGEND]
    lines += ["", "## Samples", "", *_disagreements(report), *_examples(report.examples)]
    lines += ["", "## To repeat it", ""]
    for recipe in report.recipes:
        lines += _recipe(recipe)
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    head = [_row([Cell(heading) for heading in table.headings]), f"|{'---|' * len(table.headings)}"]
    return [*head, *(_row(row) for row in table.rows), ""]


def _row(cells: Sequence[Cell]) -> str:
    texts = [
        markdown_cell(cell.text) + (f" ({markdown_cell(cell.detail)})" if cell.detail else "")
        for cell in cells
    ]
    return f"| {' | '.join(texts)} |"


def _disagreements(report: Report) -> list[str]:
    counts = [f"- {task}: the runs' scores differ on {count}" for task, count in report.disagreements.items()]
    return [*counts, ""] if counts else []


def _examples(examples: Sequence[Example]) -> list[str]:
    lines = ["| sample | prompt | reference | run | score | answer |", "|---|---|---|---|---|---|"]
    for example in examples:
        for answer in example.answers:
            cells = (
                example.sample_id,
                example.prompt,
                " / ".join(example.references[:2]),
                answer.run,
                "" if answer.score is None else f"{answer.score:.2f}",
                answer.text,
            )
            lines.append(f"| {' | '.join(map(markdown_cell, cells))} |")
    return lines if examples else ["No captions or questions that all runs were asked."]


def _recipe(recipe: Recipe) -> list[str]:
    """Its text in a fence longer than any within, which cannot be closed from inside."""
    text = recipe_text(recipe)
    fence = "`" * max(3, 1 + max((len(run) for run in _backticks(text)), default=0))
    return [f"### {markdown_cell(recipe.model)}", "", f"{fence}text", text, fence, ""]


def _backticks(text: str) -> list[str]:
    """Runs of backticks in a text."""
    return ["`" * len(part) for part in "".join(c if c == "`" else " " for c in text).split()]
