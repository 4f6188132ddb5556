"""`bitloom study report`: a results file, or what a search found, as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from bitloom.errors import InputError

EXISTING = click.Path(path_type=Path, dir_okay=False)


@click.command(name="report")
@click.argument("results", type=EXISTING)
@click.option("--score", help="Column to explain.")
@click.option("--features", help="Columns that may matter, separated by commas.")
@click.option("--size", default="bpw", show_default=True, help="Column with the plan's size.")
@click.option(
    "--variant", "variants", multiple=True, type=click.Path(path_type=Path), help="Errors by block."
)
@click.option("--resamples", type=click.IntRange(min=10), default=50, show_default=True, help="Bootstrap.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The page, an .html file.")
def command(
    results: Path,
    score: str | None,
    features: str | None,
    size: str,
    variants: tuple[Path, ...],
    resamples: int,
    out: Path,
) -> None:
    """Write RESULTS as a self-contained page.

    A results file (.csv, .parquet) gives front, importance, heat maps and profiles; a search.json its front,
    predictions against measurements, sensitivities and finalists, and needs no other option than --out.
    """
    from bitloom.study.importance.plots import check_target

    if out.suffix != ".html":
        raise InputError(f"{out}: the report is a page; give an --out that ends in .html")
    check_target(out)
    if results.suffix == ".json":
        from bitloom.study.search.page import write_search_page
        from bitloom.study.search.report import SearchReport

        write_search_page(out, SearchReport.read(results))
        return
    if score is None or features is None:
        raise InputError(f"{results}: a results file needs --score and --features, names of its columns")
    from bitloom.study.importance.analysis import Effort, analyse
    from bitloom.study.observations import read_observations
    from bitloom.study.page import Page, write_page
    from bitloom.variant import read_manifest

    names = [name.strip() for name in features.split(",")]
    observations = read_observations(results, score=score, features=names, size=size)
    manifests = [read_manifest(directory) for directory in variants]
    analysis = analyse(observations, Effort(resamples=resamples))
    write_page(out, Page(analysis, observations, size, manifests))
