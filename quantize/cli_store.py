"""`bitloom store list|gc|verify`: look at the artifact store, make room in it, check it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bitloom.errors import InputError
from quantize.errors import StoreError
from quantize.store.location import STORE_ENV, default_root
from quantize.store.objects import ObjectStore

_DAY_S = 86400.0


@click.group(name="store")
@click.option("--root", type=click.Path(path_type=Path), help=f"The store (default: ${STORE_ENV}, ~/.cache).")
@click.pass_context
def command(context: click.Context, root: Path | None) -> None:
    """List, clean or verify the quantized layers and calibration statistics computed so far."""
    context.obj = ObjectStore(root or default_root())


@command.command(name="list")
@click.option("--long", "is_long", is_flag=True, help="One line an object.")
@click.pass_obj
def list_objects(store: ObjectStore, is_long: bool) -> None:
    """Show how many objects of which kind there are, and their size."""
    console = Console()
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for entry in store.entries():
        kind = str(store.peek(entry.key).facts.get("kind", "other")) if is_long else "objects"
        count[kind] += 1
        size[kind] += entry.bytes
        if is_long:
            used = datetime.fromtimestamp(entry.used_at, UTC).isoformat(timespec="seconds")
            console.print(f"{entry.key}  {kind:<12} {entry.bytes:>12}  {used}", highlight=False)
    table = Table(title=f"store {store.root}")
    table.add_column("kind")
    table.add_column("objects", justify="right")
    table.add_column("bytes", justify="right")
    for kind in sorted(count):
        table.add_row(kind, str(count[kind]), str(size[kind]))
    console.print(table)


@command.command(name="gc")
@click.option("--unused-days", type=click.FloatRange(min=0), help="Remove what was not used for so long.")
@click.option("--max-bytes", type=click.IntRange(min=0), help="Then the longest unused beyond this size.")
@click.pass_obj
def collect(store: ObjectStore, unused_days: float | None, max_bytes: int | None) -> None:
    """Remove objects; a plan that needs one makes it again."""
    if unused_days is None and max_bytes is None:
        raise InputError("give --unused-days or --max-bytes: there is nothing to remove by")
    age = None if unused_days is None else unused_days * _DAY_S
    removed = store.collect(max_age_s=age, max_bytes=max_bytes)
    Console().print(f"removed {len(removed)} objects, {sum(entry.bytes for entry in removed)} bytes")


@command.command(name="verify")
@click.option("--remove", is_flag=True, help="Remove damaged objects.")
@click.pass_obj
def verify(store: ObjectStore, remove: bool) -> None:
    """Check the hash of every object; exit 1 where one is damaged and stays."""
    console = Console()
    damaged = []
    checked = 0
    for entry in store.entries():
        checked += 1
        try:
            store.peek(entry.key)
        except StoreError as exc:
            damaged.append(entry.key)
            console.print(str(exc), markup=False, highlight=False, soft_wrap=True)
            if remove:
                store.remove(entry.key)
    console.print(f"checked {checked} objects, {len(damaged)} damaged{' and removed' if remove else ''}")
    if damaged and not remove:
        raise StoreError(f"{len(damaged)} objects are damaged; `bitloom store verify --remove` removes them")
