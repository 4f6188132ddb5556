"""What the schemas have in common: strict, frozen, versioned pydantic models read from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

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
            raise cls.file_error(f"{source}: {describe(exc)}") from exc


def describe(error: ValidationError) -> str:
    """One line a fault: where it is, what was expected, what was given."""
    lines = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"]) or "document"
        given = repr(fault["input"])
        shown = given if len(given) <= 80 else given[:77] + "..."
        lines.append(f"{place}: {fault['msg']} (given: {shown})")
    return "; ".join(lines)
