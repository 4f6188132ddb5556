"""`bitloom keys`: make the keys that a server accepts."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from server.keys import SCOPES, Scope, create_key


@click.group(name="keys")
def command() -> None:
    """Make the keys that a server accepts (`bitloom serve --keys-file FILE`)."""


@command.command(name="create")
@click.argument("key_id", metavar="ID")
@click.option("--file", "path", type=click.Path(path_type=Path), required=True, help="Key file, made if new.")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, default=("infer",))
@click.option("--requests-per-minute", type=click.IntRange(1), help="Limit; none by default.")
@click.option(
    "--tokens-per-minute", type=click.IntRange(1), help="Limit, prompt and answer; none by default."
)
@click.option("--outstanding", type=click.IntRange(1), help="Requests at once; no limit by default.")
def create(
    path: Path,
    key_id: str,
    scopes: tuple[Scope, ...],
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    outstanding: int | None,
) -> None:
    """Add a key called ID to the file and print it: once, it is stored as a hash."""
    secret = create_key(path, key_id, scopes, requests_per_minute, tokens_per_minute, outstanding)
    Console(soft_wrap=True).print(secret, markup=False, highlight=False)
