"""Runs that are killed go on where they were: nothing is asked twice, nothing is lost."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bitloom.errors import InputError
from bitloom.results import SampleRecord
from eval_client.run.evaluation import evaluate
from eval_client.run.journal import Journal
from eval_client.run.progress import SilentProgress

if TYPE_CHECKING:
    from tests.integration.eval_client.conftest import Served

COMMAND = (sys.executable, "-c", "from bitloom.cli import main; main()")


def answers(out: Path) -> dict[str, str | None]:
    lines = (out / "samples.jsonl").read_text().splitlines()
    return {each.sample_id: each.answer for each in map(SampleRecord.model_validate_json, lines)}


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def start_eval(url: str, out: Path, samples: int = 24) -> asyncio.subprocess.Process:
    arguments = ("--endpoint", url, "--model", "fake", "--out", str(out))
    limits = ("--tasks", "vqa", "--samples", str(samples), "--concurrency", "2")
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        "eval",
        *arguments,
        *limits,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


@pytest.mark.timeout(600)
async def test_killed_at_several_points_it_gives_the_undisturbed_result(
    served: Served, tmp_path: Path
) -> None:
    served.fake.delay_s = 0.02
    fixed = {"questions": 24, "captions": 24, "retrieval": 24, "shard": 16}
    config = served.config(tasks=("vqa",), **fixed, timed_sequential=0, timed_loaded=0)
    await evaluate(config, tmp_path / "whole", SilentProgress())
    recorded: set[str] = set()
    for goal in (3, 11):
        await _kill_after(goal, served.url, tmp_path / "killed")
        now = set(answers(_repaired(tmp_path / "killed")))
        assert recorded <= now
        recorded = now
        asked_before = len(served.fake.asked)
    await evaluate(config, tmp_path / "killed", SilentProgress())
    assert answers(tmp_path / "killed") == answers(tmp_path / "whole")
    assert len(served.fake.asked) - asked_before == 24 - len(recorded)


KILLS, MOST_S = 10, 1.2


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_killed_at_ten_random_moments(served: Served, tmp_path: Path) -> None:
    """Moments between the first sign of life and well into the run, whatever it is doing then."""
    served.fake.delay_s = 0.1
    served.fake.answer = lambda asked: f"{asked.prompt[-9:]} {asked.image_sha256[:4]}"
    fixed = {"questions": 160, "captions": 160, "retrieval": 160, "shard": 16, "concurrency": 2}
    config = served.config(tasks=("vqa",), **fixed, timed_sequential=16, timed_loaded=64)
    await evaluate(config, tmp_path / "whole", SilentProgress())
    draw = random.Random(20260115)
    out = tmp_path / "killed"
    recorded: dict[str, SampleRecord] = {}
    for _ in range(KILLS):
        before = len(served.fake.asked)
        await _kill_at(draw.uniform(0.0, MOST_S), served, out)
        _check_not_asked_again(served, before, recorded)
        now = _journal(out)
        assert recorded.keys() <= now.keys()
        assert all(now[name] == recorded[name] for name in recorded)
        recorded = now
    assert 0 < len(recorded) < 160, "the kills came too early or too late to show anything"
    before = len(served.fake.asked)
    run = await evaluate(config, out, SilentProgress())
    _check_not_asked_again(served, before, recorded)
    assert [_lasting(each) for each in _journal(out).values()] == [
        _lasting(each) for each in _journal(tmp_path / "whole").values()
    ]
    assert (out / "scores.jsonl").read_bytes() == (tmp_path / "whole" / "scores.jsonl").read_bytes()
    assert run.requests == 160


def _journal(out: Path) -> dict[str, SampleRecord]:
    """Records in the order of their ids; nothing where the run had not come so far."""
    if not (out / "samples.jsonl").exists():
        return {}
    with Journal(out / "samples.jsonl") as journal:
        return {name: journal.records[name] for name in sorted(journal.records)}


def _lasting(record: SampleRecord) -> SampleRecord:
    """The record without what differs from one asking to the next: when, and how fast."""
    return record.model_copy(update={"sent_at_s": 0.0, "chunk_times_s": (), "end_s": None})


def _check_not_asked_again(served: Served, before: int, recorded: dict[str, SampleRecord]) -> None:
    known = {(record.prompt, record.image_sha256) for record in recorded.values()}
    again = [each for each in served.fake.asked[before:] if (each.prompt, each.image_sha256) in known]
    assert not again


async def _kill_at(wait_s: float, served: Served, out: Path) -> None:
    """Start or resume a run, and kill it `wait_s` after its first request of this start."""
    before = len(served.fake.asked)
    process = await start_eval(served.url, out, samples=160)
    while len(served.fake.asked) == before:
        assert process.returncode is None, "ended before it could be killed"
        await asyncio.sleep(0.002)
    await asyncio.sleep(wait_s)
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def _kill_after(goal: int, url: str, out: Path) -> None:
    """Start or resume a run, and kill it when `goal` samples are recorded."""
    process = await start_eval(url, out)
    journal = out / "samples.jsonl"
    while not journal.exists() or journal.read_bytes().count(b"\n") < goal:
        assert process.returncode is None, "ended before it could be killed"
        await asyncio.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    await process.wait()


def _repaired(out: Path) -> Path:
    with Journal(out / "samples.jsonl"):
        return out


async def test_a_torn_line_is_asked_again_and_no_other(served: Served, tmp_path: Path) -> None:
    config = served.config(tasks=("vqa",), timed_sequential=0, timed_loaded=0)
    out = tmp_path / "run"
    await evaluate(config, out, SilentProgress())
    (out / "run.json").unlink()
    journal = out / "samples.jsonl"
    journal.write_bytes(journal.read_bytes()[:-25])
    before = len(served.fake.asked)
    run = await evaluate(config, out, SilentProgress())
    assert len(served.fake.asked) - before == 1
    assert run.requests == 6
    assert len(answers(out)) == 6


async def test_a_finished_run_asks_nothing(served: Served, tmp_path: Path) -> None:
    config = served.config(tasks=("caption",))
    first = await evaluate(config, tmp_path / "run", SilentProgress())
    before = len(served.fake.asked)
    assert await evaluate(config, tmp_path / "run", SilentProgress()) == first
    assert len(served.fake.asked) == before


async def test_the_directory_of_another_run_is_refused(served: Served, tmp_path: Path) -> None:
    await evaluate(served.config(tasks=("caption",)), tmp_path / "run", SilentProgress())
    with pytest.raises(InputError, match=r"holds another run \(dataset_hash, tasks, limits.* differ\)"):
        await evaluate(served.config(tasks=("vqa",), questions=5), tmp_path / "run", SilentProgress())


async def test_a_directory_of_something_else_is_refused(served: Served, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds other files"):
        await evaluate(served.config(tasks=("caption",)), tmp_path, SilentProgress())
    assert names(tmp_path) == ["letter.txt"]
