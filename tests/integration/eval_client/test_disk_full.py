"""A disk that fills up while a run is asking: the sample is named, nothing is lost, the run goes on later."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitloom.errors import BitloomError
from bitloom.results import SampleRecord
from eval_client.run import journal
from eval_client.run.evaluation import evaluate
from eval_client.run.progress import SilentProgress

if TYPE_CHECKING:
    from tests.integration.eval_client.conftest import Served

SAMPLES, ROOM = 12, 5


class FullDisk:
    """The module `os` over a disk with room for `lines` lines and a half."""

    def __init__(self, lines: int, *, is_torn: bool) -> None:
        self._lines = lines
        self._is_torn = is_torn

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, file: int, line: bytes) -> int:
        if self._lines:
            self._lines -= 1
            return os.write(file, line)
        if self._is_torn:  # what fits is written, as the kernel does
            self._is_torn = False
            return os.write(file, line[: len(line) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def records(out: Path) -> list[SampleRecord]:
    lines = (out / "samples.jsonl").read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\n") for line in lines)
    return [SampleRecord.model_validate_json(line) for line in lines]


@pytest.mark.parametrize("is_torn", [True, False])
async def test_a_disk_that_is_full_half_way(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_torn: bool
) -> None:
    served.fake.answer = lambda asked: f"{asked.prompt[-9:]} {asked.image_sha256[:4]}"
    config = served.config(tasks=("vqa",), questions=SAMPLES, timed_sequential=0, timed_loaded=0)
    await evaluate(config, tmp_path / "whole", SilentProgress())
    whole = {each.sample_id: each.answer for each in records(tmp_path / "whole")}
    out = tmp_path / "full"
    with monkeypatch.context() as patch:
        patch.setattr(journal, "os", FullDisk(ROOM, is_torn=is_torn))
        with pytest.raises(
            BitloomError, match=r"could not be written .*the 5 samples before it are kept"
        ) as full:
            await evaluate(config, out, SilentProgress())
    kept = records(out)
    assert len(kept) == ROOM
    named = next(word for word in str(full.value).split() if word in whole)
    assert named not in {each.sample_id for each in kept}
    assert not (out / "run.json").exists()
    asked_before = len(served.fake.asked)
    manifest = await evaluate(config, out, SilentProgress())
    assert len(served.fake.asked) - asked_before == SAMPLES - ROOM
    assert Counter(each.sample_id for each in records(out)) == dict.fromkeys(whole, 1)
    assert {each.sample_id: each.answer for each in records(out)} == whole
    assert (manifest.requests, manifest.failed) == (SAMPLES, 0)
