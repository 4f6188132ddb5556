"""Files that later stages can trust: hashed, fsynced, and renamed into place only when complete."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bitloom.errors import BitloomError, InputError
from bitloom.schema import Schema

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FileEntry(Schema):
    """One file of a directory: its path relative to the manifest, size in bytes and SHA-256."""

    path: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_files(directory: Path) -> tuple[FileEntry, ...]:
    """Entries of all regular files below `directory`, sorted by path."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return tuple(
        FileEntry(
            path=path.relative_to(directory).as_posix(), bytes=path.stat().st_size, sha256=sha256_file(path)
        )
        for path in paths
    )


def fsync_file(path: Path) -> None:
    """Flush a file (or directory) to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a small file so that readers see the old content or the new, never a part."""
    data = content.encode() if isinstance(content, str) else content
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise BitloomError(f"{path}: could not be written ({exc.strerror}); nothing was changed") from exc
    fsync_file(path.parent)


def check_new_directory(target: Path) -> None:
    """Raise InputError if `target` exists and is not an empty directory."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: already exists; give a new directory, or remove it first")


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """Yield a sibling temporary directory that becomes `target` when the block succeeds.

    Write the manifest last. On any exception the temporary directory is removed and `target` is
    never seen. Raises InputError if `target` exists and is not an empty directory.
    """
    check_new_directory(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        temporary.chmod(0o755)
        yield temporary
        for path in temporary.rglob("*"):
            fsync_file(path)
        if target.exists():
            target.rmdir()
        temporary.rename(target)
        fsync_file(target.parent)
    except OSError as exc:
        raise BitloomError(f"{target}: could not be written ({exc}); nothing was left behind") from exc
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
