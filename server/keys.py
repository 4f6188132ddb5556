"""API keys: 256 random bits, shown once, stored as SHA-256, compared in constant time.

A fast hash suffices because the keys are random: there is no dictionary to try.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bitloom.errors import InputError
from bitloom.files import Sha256, write_atomic
from bitloom.schema import Schema

Scope = Literal["infer", "pin", "admin"]
SCOPES: tuple[Scope, ...] = ("infer", "pin", "admin")
PREFIX = "bl-"


class KeyRecord(Schema):
    """What the server keeps of a key. A limit that is None means without limit.

    Tokens are the prompt's and the answer's together; `outstanding` counts requests not answered yet.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    sha256: Sha256
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    requests_per_minute: Annotated[int, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[int, Field(gt=0)] | None = None
    outstanding: Annotated[int, Field(gt=0)] | None = None
    created_at: str


class KeyFile(Schema):
    """All keys of a server, one JSON file."""

    schema_version: Literal[1] = 1
    keys: tuple[KeyRecord, ...] = ()


class KeyRing:
    """Finds the record of a key that a client sent."""

    def __init__(self, keys: tuple[KeyRecord, ...]) -> None:
        self._keys = keys

    def find(self, secret: str) -> KeyRecord | None:
        """Record of a key, None for an unknown one; every record is compared, whatever matches."""
        digest = _digest(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found


def read_ring(path: Path | None) -> KeyRing | None:
    """Keys of a file, None without one; raise InputError where it cannot be used."""
    return None if path is None else KeyRing(KeyFile.read(path).keys)


def create_key(
    path: Path,
    key_id: str,
    scopes: tuple[Scope, ...],
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    outstanding: int | None = None,
) -> str:
    """Add a key to the file and return its secret, which is kept nowhere; the file becomes 0600.

    Raises InputError where the id is taken or not valid.
    """
    file = KeyFile.read(path) if path.exists() else KeyFile()
    if any(key.id == key_id for key in file.keys):
        raise InputError(f"{path}: there is a key {key_id} already; choose another id")
    secret = PREFIX + secrets.token_urlsafe(32)
    record = KeyRecord.parse(
        {
            "id": key_id,
            "sha256": _digest(secret),
            "scopes": scopes,
            "requests_per_minute": requests_per_minute,
            "tokens_per_minute": tokens_per_minute,
            "outstanding": outstanding,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        source="key",
    )
    extended = KeyFile(keys=(*file.keys, record))
    write_atomic(path, extended.model_dump_json(indent=2) + "\n")
    path.chmod(0o600)
    return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
