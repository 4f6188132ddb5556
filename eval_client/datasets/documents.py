"""Reading annotation files that others wrote: JSON, gzipped or not, checked field by field."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bitloom.errors import DataError
from bitloom.schema import describe
from eval_client.pins import check_pin, read_pins

Item = TypeVar("Item")
Model = TypeVar("Model", bound=BaseModel)


class ForeignModel(BaseModel):
    """A record of a published format: what is not needed is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


def read_json(path: Path, expected: str) -> Any:
    """The document in a `.json`, `.jsonl` or `.json.gz` file. DataError saying what was `expected` there."""
    try:
        content = path.read_bytes()
        check_pin(path, content, read_pins(path.parent))
        text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        return _parse_text(text)
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc.strerror or exc}); expected {expected}") from exc
    except (ValueError, EOFError) as exc:
        raise DataError(f"{path}: not valid JSON ({exc}); expected {expected}") from exc


def _parse_text(text: bytes) -> Any:
    """One document, or a list of those that stand one a line (JSON lines)."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        lines = [line for line in text.split(b"\n") if line.strip()]
        if exc.msg != "Extra data" or len(lines) < 2:
            raise
        return [json.loads(line) for line in lines]


def parse_list(path: Path, model: type[Model], records: object, expected: str) -> list[Model]:
    """Validate a list of records. Raises DataError with the first fault and what was `expected`."""
    try:
        return TypeAdapter(list[model]).validate_python(records)  # type: ignore[valid-type]
    except ValidationError as exc:
        first = describe(exc).split("; ")[0]
        raise DataError(f"{path}: {first}; expected {expected}") from exc


def check_unique(path: Path, what: str, ids: Iterable[str]) -> None:
    """Raise DataError naming the first id that comes twice."""
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            raise DataError(f"{path}: {what} {each} comes twice; remove one of them")
        seen.add(each)


def pick(items: Sequence[Item], limit: int, key: Callable[[Item], str]) -> tuple[Item, ...]:
    """At most `limit` items, chosen by the hash of their key, in their order in the file.

    Files are often sorted, so their first items are no fair sample; what a smaller limit picks, a
    larger one picks too.
    """
    if len(items) <= limit:
        return tuple(items)
    ranked = sorted(range(len(items)), key=lambda place: hashlib.sha256(key(items[place]).encode()).digest())
    return tuple(items[place] for place in sorted(ranked[:limit]))
