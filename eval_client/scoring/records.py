"""Reading lists of records that others wrote: JSON or JSON lines, gzipped or not, each record checked.

Every message names the file, the record's id where it has one, what was expected and what to do.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bitloom.errors import DataError
from bitloom.schema import describe
from eval_client.datasets.documents import read_json

RecordId = int | str
Value = TypeVar("Value")
Model = TypeVar("Model", bound="Record")


class Record(BaseModel):
    """A record of a published format: types are exact, fields that are not needed are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


def key_of(record_id: RecordId) -> str:
    """What ids are compared by: some writers quote numbers, others do not."""
    return str(record_id)


def read_document(path: Path, expected: str) -> Any:
    """The document in a JSON file, or the list of those in a file of JSON lines. Raises DataError."""
    lines = _lines(path, expected)
    if not _is_json_lines(lines):
        return read_json(path, expected)
    documents = []
    for number, line in lines:
        try:
            documents.append(json.loads(line))
        except ValueError as exc:
            raise DataError(f"{path}: line {number} is not JSON ({exc}); expected {expected}") from exc
    return documents


def _lines(path: Path, expected: str) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        text = content.decode("utf-8")
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc.strerror or exc}); expected {expected}") from exc
    except (EOFError, UnicodeDecodeError) as exc:
        raise DataError(f"{path}: not a text file in UTF-8 ({exc}); expected {expected}") from exc
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _is_json_lines(lines: list[tuple[int, str]]) -> bool:
    """Whether the first of several lines is an object by itself."""
    if len(lines) < 2:
        return False
    try:
        return isinstance(json.loads(lines[0][1]), dict)
    except ValueError:
        return False


def parse_records(
    path: Path, model: type[Model], records: Any, *, id_field: str, expected: str
) -> list[Model]:
    """Check a list of records. Raises DataError with the first record that is wrong."""
    if not isinstance(records, list) or not records:
        kind = "an empty list" if records == [] else type(records).__name__
        raise DataError(f"{path}: {kind} where records are wanted; expected {expected}")
    parsed = []
    for number, record in enumerate(records):
        try:
            parsed.append(model.model_validate(record))
        except ValidationError as exc:
            named = f" ({id_field} {record[id_field]!r})" if _has(record, id_field) else ""
            fault = describe(exc).split("; ")[0]
            raise DataError(f"{path}: record {number}{named}: {fault}; expected {expected}") from exc
    return parsed


def _has(record: Any, field: str) -> bool:
    return isinstance(record, dict) and field in record


def by_id(path: Path, what: str, items: Iterable[tuple[RecordId, Value]]) -> dict[str, Value]:
    """Values by the key of their id. Raises DataError naming an id that comes twice."""
    found: dict[str, Value] = {}
    for record_id, value in items:
        key = key_of(record_id)
        if key in found:
            raise DataError(
                f"{path}: {what} {record_id!r} comes twice; expected each once: remove one of them"
            )
        found[key] = value
    return found


def check_same_ids(
    predictions_path: Path,
    predicted: Mapping[str, Any],
    references_path: Path,
    wanted: Mapping[str, Any],
    *,
    what: str,
    is_partial: bool,
) -> None:
    """Raise DataError where predictions are of unknown ids, or (unless `is_partial`) some are missing."""
    unknown = [key for key in predicted if key not in wanted]
    if unknown:
        raise DataError(
            f"{predictions_path}: {what} {unknown[0]} is not in {references_path} "
            f"({len(unknown)} such); expected predictions of its {what}s only: take both from one split"
        )
    missing = [key for key in wanted if key not in predicted]
    if missing and not is_partial:
        raise DataError(
            f"{predictions_path}: no prediction for {what} {missing[0]} of {references_path} "
            f"({len(missing)} of {len(wanted)} missing); expected one for each: complete the file, or score "
            "what is there with --predicted-only"
        )
