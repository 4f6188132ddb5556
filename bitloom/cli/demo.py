"""`bitloom demo`: the whole loop on the tiny LLaVA, in one command."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import click
from rich.console import Console

from bitloom.demo import stages
from bitloom.demo.table import Row, against_base, summary
from bitloom.errors import InputError
from bitloom.plan import Plan
from bitloom.results import RUN_NAME, RunManifest

MARK = ".bitloom-demo"
BASE = "base"
SAMPLES = "caption=128,vqa=160,retrieval=16"
NARROWEST = 110
"""Columns that the closing tables need; where nobody's terminal is asked, figures still stand there whole."""


@click.command(name="demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/demo"), show_default=True)
@click.option("--samples", default=SAMPLES, show_default=True, help="As of `bitloom eval`.")
def command(out: Path, samples: str) -> None:
    """Quantize tiny-llava three ways, serve all four models, evaluate them, and write a report."""
    console = Console()
    root = repository_root()
    out = fresh_directory(out)
    variants = {BASE: root / "zoo" / "tiny-llava"}
    for plan in sorted((root / "bitloom" / "demo" / "plans").glob("*.yaml")):
        name = Plan.read(plan).name
        console.rule(f"quantize {name}")
        variants[name] = out / "variants" / name
        stages.quantize(plan, variants[name], root=root)
    console.rule("serve the base and the variants")
    with stages.serving(variants, log=out / "gateway.log", root=root) as endpoint:
        for name in variants:
            console.rule(f"evaluate {name}")
            stages.evaluate(
                endpoint, name, out / "runs" / name, data="scenes:test", samples=samples, root=root
            )
    console.rule("report")
    directories = {name: out / "runs" / name for name in variants}
    stages.report(list(directories.values()), variants, out / "report.html", root=root)
    rows = [
        sized_row(name, path, RunManifest.read(directories[name] / RUN_NAME), root)
        for name, path in variants.items()
    ]
    base = directories.pop(BASE)
    differences = {name: stages.compare(base, run, root=root) for name, run in directories.items()}
    console.width = max(console.width, NARROWEST)
    console.print(summary(rows), against_base(differences))
    console.print(f"report: {out / 'report.html'}", markup=False)


def repository_root() -> Path:
    """The directory that holds the zoo; the package is installed editable, so it is the checkout."""
    spec = importlib.util.find_spec("zoo")
    if spec is None or spec.origin is None:
        raise InputError("the zoo is not installed; run `make env` in a checkout of Bitloom")
    return Path(spec.origin).resolve().parent.parent


def fresh_directory(out: Path) -> Path:
    """Make `out` an empty directory with the demo's mark; only a directory so marked is ever emptied."""
    out = out.resolve()
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise InputError(f"{out}: not empty and not a demo's; give another --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()
    return out


def sized_row(name: str, directory: Path, run: RunManifest, root: Path) -> Row:
    """The table's row of one model, its size taken from `bitloom inspect`."""
    size = stages.inspect(directory, root=root)
    return Row(name, size.stored_bytes, size.bpw, run)
