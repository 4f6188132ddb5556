"""The SQLite file of a state directory: opened, locked, checked, and its faults given names.

Write-ahead log with `synchronous=FULL`: a commit is on the disk when it returns, so a killed process
loses nothing that was committed (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.experiments.errors import StateError

FILE = "state.sqlite"
LOCK = "lock"
VERSION = 1
TABLES = """
CREATE TABLE experiments (
    name TEXT NOT NULL, salt TEXT NOT NULL, phases TEXT NOT NULL, PRIMARY KEY (name, salt)
);
CREATE TABLE arms (
    name TEXT NOT NULL, salt TEXT NOT NULL, variant TEXT NOT NULL,
    standing TEXT NOT NULL, statistics TEXT NOT NULL, PRIMARY KEY (name, salt, variant)
);
CREATE TABLE units (
    name TEXT NOT NULL, salt TEXT NOT NULL, point REAL NOT NULL, PRIMARY KEY (name, salt, point)
) WITHOUT ROWID;
CREATE TABLE requests (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, salt TEXT,
    variant TEXT NOT NULL, key_id TEXT
);
CREATE TABLE feedback (
    number INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, salt TEXT,
    variant TEXT NOT NULL, score REAL NOT NULL, comment TEXT, at REAL NOT NULL
);
CREATE INDEX feedback_of ON feedback (name, salt, variant);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, name TEXT NOT NULL, salt TEXT NOT NULL,
    variant TEXT NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL
);
"""


class Database:
    """A connection that one thread at a time may use."""

    def __init__(self, directory: Path) -> None:
        """Open or make the state in `directory`; raise StateError where it is locked, damaged or newer."""
        self.path = directory / FILE
        self._lock = _take_lock(directory)
        try:
            with self.translated():
                self._connection = self._connect()
        except BaseException:
            os.close(self._lock)
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on the disk at the end; raise StateError where it cannot be."""
        with self.translated(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """SQLite's faults as StateError, which says what to do."""
        try:
            yield
        except sqlite3.OperationalError as exc:
            raise StateError(
                f"{self.path}: the state cannot be read or written ({exc}); free disk space, or mend the "
                "permissions"
            ) from exc
        except sqlite3.Error as exc:
            raise StateError(_damaged(self.path, str(exc))) from exc

    def close(self) -> None:
        """Close the file and let another server have it."""
        self._connection.close()
        os.close(self._lock)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self.path.chmod(0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise StateError(_damaged(self.path, verdict))
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version={VERSION}; COMMIT;")
        elif version != VERSION:
            raise StateError(
                f"{self.path}: the state has version {version}, this server reads {VERSION}; "
                "use the server that wrote it, or give another state_dir"
            )


def check_state(directory: Path | None) -> None:
    """Open and close the state, so that what is wrong with it is said before anything starts."""
    if directory is not None:
        Database(directory).close()


def _damaged(path: Path, what: str) -> str:
    return (
        f"{path}: the state is damaged ({what}); restore a copy, or move the file away to begin without "
        "rollbacks, ramps and feedback"
    )


def _take_lock(directory: Path) -> int:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StateError(
            f"{directory}: no state can be kept there ({exc.strerror}); give another state_dir"
        ) from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(lock)
        raise StateError(
            f"{directory}: another server keeps its state there; stop it, or give each its own state_dir"
        ) from exc
    return lock
