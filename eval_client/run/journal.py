"""The append-only journal of a run: one line a record, repaired after a kill, owned by one process.

A record counts as made once its line is whole. Lines are written with one `write` each and flushed to the
disk in batches: a killed process loses nothing, a machine without power at most the last batch, which is
then asked again.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from bitloom.errors import BitloomError, DataError, InputError
from bitloom.results import SampleRecord
from bitloom.schema import describe

SYNC_PERIOD_S = 0.25
_log = logging.getLogger(__name__)


class Journal:
    """Records of a run by sample id. Use as a context manager; raises InputError where another owns it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, SampleRecord] = {}
        self._is_dirty = False
        self._synced_at_s = time.monotonic()

    def __enter__(self) -> Self:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._file)
            raise InputError(
                f"{self.path}: another run is writing here; wait for it, or give another --out"
            ) from exc
        whole = repair(self.path)
        self.records = {record.sample_id: record for record in read_records(self.path)}
        _log.debug("%s: %d bytes, %d records", self.path, whole, len(self.records))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sync()
        os.close(self._file)

    @property
    def answered(self) -> set[str]:
        """Ids of the samples that need not be asked again."""
        return {name for name, record in self.records.items() if record.state == "answered"}

    def append(self, record: SampleRecord) -> None:
        """Add a record. Raises BitloomError where the disk is full; the journal then ends in a whole line."""
        line = (record.model_dump_json() + "\n").encode()
        before = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(28, "no space left on the device")
        except OSError as exc:
            os.ftruncate(self._file, before)
            raise BitloomError(
                f"{self.path}: sample {record.sample_id} could not be written ({exc.strerror}); make room, "
                f"then run the same command again: the {len(self.records)} samples before it are kept"
            ) from exc
        self.records[record.sample_id] = record
        self._is_dirty = True

    def sync(self) -> None:
        """Flush what was appended to the disk."""
        if self._is_dirty:
            self._is_dirty = False
            os.fsync(self._file)

    async def sync_if_due(self) -> None:
        """Flush, off the event loop, where the last flush was `SYNC_PERIOD_S` ago."""
        if time.monotonic() - self._synced_at_s > SYNC_PERIOD_S:
            self._synced_at_s = time.monotonic()
            await asyncio.to_thread(self.sync)


def repair(path: Path) -> int:
    """Cut a torn last line off a file of lines; return the bytes that remain."""
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            _log.warning("%s: the last line was torn by an interruption and is dropped", path)
            file.truncate(whole)
            file.flush()
            os.fsync(file.fileno())
    return whole


def read_records(path: Path) -> Iterator[SampleRecord]:
    """Records of a journal in the order of their lines. Raises DataError naming a line that is damaged."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield SampleRecord.model_validate_json(line)
            except ValidationError as exc:
                raise DataError(
                    f"{path}, line {number}: damaged ({describe(exc)[:200]}); delete that line to ask its "
                    "sample again, or give a new --out"
                ) from exc
