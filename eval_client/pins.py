"""The manifest that pins a folder's files: `SHA256SUMS`, as `sha256sum * > SHA256SUMS` writes it.

Where a folder has one, every annotation file and image taken from it must be in it, and have that hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from bitloom.errors import DataError

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def read_pins(folder: Path) -> Mapping[str, str] | None:
    """SHA-256 by file name relative to the folder, or None where it has no manifest.

    Raises DataError naming the line that is none of a manifest.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    pins: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise DataError(
                f"{path}, line {number}: {line[:60]!r} is no pin; expected what `sha256sum *` writes"
            )
        pins[found[2].removeprefix("./")] = found[1]
    return pins


def check_pin(path: Path, content: bytes, pins: Mapping[str, str] | None, name: str | None = None) -> None:
    """Raise DataError where the folder's manifest lists another hash for the file, or does not list it."""
    if pins is None:
        return
    wanted, found = pins.get(name or path.name), hashlib.sha256(content).hexdigest()
    if wanted is None:
        raise DataError(f"{path}: not in {NAME} beside it; expected every file that is used: add its line")
    if wanted != found:
        raise DataError(
            f"{path}: SHA-256 is {found}, {NAME} beside it says {wanted}; copy it anew, or pin the new one"
        )
