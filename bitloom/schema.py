"""What the schemas have in common: strict, frozen, versioned pydantic models read from files."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from bitloom.errors import InputError


class Schema(BaseModel):
    """Base of all models that cross a file or process boundary: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file_error: ClassVar[type[InputError]] = InputError

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a YAML or JSON file; raise the schema's `file_error` naming file and field."""
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as exc:
            raise cls.file_error(f"{path}: cannot be read ({exc}); give an existing UTF-8 file") from exc
        except yaml.YAMLError as exc:
            raise cls.file_error(f"{path}: not valid YAML or JSON: {exc}") from exc
        return cls.parse(document, source=str(path))

    @classmethod
    def parse(cls, document: Any, *, source: str) -> Self:
        """Validate `document`; messages start with `source` and name each field that is wrong."""
        try:
            return cls.model_validate(document)
        except ValidationError as exc:
            raise cls.file_error(f"{source}: {describe(exc, cls)}") from exc


def describe(error: ValidationError, schema: type[BaseModel] | None = None) -> str:
    """One line a fault: where it is, what was expected, what was given; `schema` is what was asked for."""
    lines = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"]) or "document"
        given = repr(fault["input"])
        shown = given if len(given) <= 80 else given[:77] + "..."
        if fault["type"] == "extra_forbidden":
            lines.append(f"{place}: {_unknown_key(schema, fault['loc'])}")
        else:
            lines.append(f"{place}: {fault['msg'].removeprefix('Value error, ')} (given: {shown})")
    return "; ".join(lines)


def _unknown_key(schema: type[BaseModel] | None, place: tuple[int | str, ...]) -> str:
    """What to write in place of the key at the end of `place`."""
    if schema is None:
        return "unknown key; remove it"
    models = [schema]
    for part in place[:-1]:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [found for field in fields for found in _models_in(field.annotation)] or models
    known = sorted({name for model in models for name in model.model_fields})
    close = difflib.get_close_matches(str(place[-1]), known, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ";"
    return f"unknown key{guess} known here are {', '.join(known)}"


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field's annotation mentions, inside containers and unions too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
