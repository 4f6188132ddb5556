"""`python -m zoo.evaluate llava|blip2`: the quality of a model of the zoo."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bitloom.errors import BitloomError
from zoo.evaluate.measures import Quality, measure
from zoo.evaluate.subject import Subject
from zoo.scenes import SPLITS


@click.command()
@click.argument("family", type=click.Choice(["llava", "blip2"]))
@click.option("--model", type=click.Path(path_type=Path), help="Model directory [zoo/tiny-FAMILY].")
@click.option("--split", type=click.Choice(list(SPLITS)), default="test", show_default=True)
@click.option("--scenes", default=400, show_default=True, help="Scenes for questions and captions.")
@click.option("--candidates", default=64, show_default=True, help="Images and captions to retrieve from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(family: str, model: Path | None, split: str, scenes: int, candidates: int, as_json: bool) -> None:
    """Measure the model FAMILY: answers by kind, exact captions, retrieval among near-duplicates."""
    try:
        subject = Subject(model or Path("zoo") / f"tiny-{family}")
        quality = measure(subject, split, scenes, candidates)
    except BitloomError as exc:
        click.echo(f"error: {exc}", err=True)
        raise SystemExit(exc.exit_code) from exc
    if as_json:
        click.echo(json.dumps(asdict(quality), indent=1))
    else:
        Console().print(_table(quality, f"tiny-{family}, {split}"))


def _table(quality: Quality, title: str) -> Table:
    table = Table("measure", "value", title=title)
    table.add_row("vqa", f"{quality.vqa:.3f}")
    for kind, share in quality.vqa_by_kind.items():
        table.add_row(f"  {kind}", f"{share:.3f}")
    table.add_row("exact captions", f"{quality.exact_captions:.3f}")
    table.add_row("text to image R@1", f"{quality.retrieval.text_to_image:.3f}")
    table.add_row("image to text R@1", f"{quality.retrieval.image_to_text:.3f}")
    return table


if __name__ == "__main__":
    main()
