"""Results directories as a run leaves them, from answers that a test gives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bitloom.provenance import Provenance
from bitloom.results import (
    LATENCY_NAME,
    RUN_NAME,
    SAMPLES_NAME,
    SCORES_NAME,
    RunManifest,
    RunPlan,
    SampleRecord,
)
from bitloom.schema import Schema
from eval_client.tasks.score import score_records
from eval_client.tasks.scores import TaskScores

HASH = "0" * 64
SCENES = (
    ("a large red circle above a small blue square .", "the red circle is above the square ."),
    ("two green triangles beside a star .", "a star and two triangles , all of them green ."),
    ("a yellow square with a hole in it .", "there is a hole in the yellow square ."),
)
Records = Sequence[SampleRecord]
WriteRun = Callable[..., Path]


def question(
    number: int, answer: str | None, *, right: str = "yes", image: int | None = None
) -> SampleRecord:
    """A question whose ten answers agree; None is a failed request."""
    return _record(f"vqa/{number}", "vqa", image if image is not None else number, answer, (right,) * 10)


def caption(number: int, answer: str | None) -> SampleRecord:
    """A caption of an image of its own, which shows one of three scenes."""
    return _record(f"caption/{number}", "caption", number, answer, SCENES[number % len(SCENES)])


def timed(number: int, ttft_s: float, end_s: float) -> SampleRecord:
    """A timed request, one at a time."""
    record = _record(f"sequential/{number}", "caption", number, "a b c", ())
    times = (ttft_s, (ttft_s + end_s) / 2, end_s)
    return record.model_copy(update={"kind": "sequential", "chunk_times_s": times, "end_s": end_s})


def _record(
    sample_id: str, task: Any, image: int, answer: str | None, references: tuple[str, ...]
) -> SampleRecord:
    is_failed = answer is None
    return SampleRecord(
        sample_id=sample_id,
        task=task,
        image_id=f"i{image}",
        kind="colour" if image % 2 else "count",
        references=references,
        request_hash=HASH,
        image_sha256=hashlib.sha256(str(image).encode()).hexdigest(),
        prompt=f"about {sample_id}?",
        state="failed" if is_failed else "answered",
        answer=answer,
        error="stalled: no byte" if is_failed else None,
        finish_reason=None if is_failed else "stop",
        usage=None,
        sent_at_s=0.0,
        chunk_times_s=() if is_failed else (0.1,),
        end_s=None if is_failed else 0.2,
        retries=0,
    )


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Score some records and write them as a finished run; `plan` and `run` replace fields."""

    def write(
        name: str,
        records: Records,
        latency: Records = (),
        *,
        plan: Mapping[str, Any] | None = None,
        run: Mapping[str, Any] | None = None,
    ) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        scores = score_records(records, "official", 0)
        manifest = manifest_of(name, records, scores, plan or {})
        _write_lines(directory / SAMPLES_NAME, records)
        _write_lines(directory / SCORES_NAME, scores.per_sample)
        _write_lines(directory / LATENCY_NAME, latency)
        changed = manifest.model_copy(update=dict(run or {}))
        (directory / RUN_NAME).write_text(changed.model_dump_json())
        return directory

    return write


def manifest_of(
    name: str, records: Records, scores: TaskScores, plan: Mapping[str, Any] | None = None
) -> RunManifest:
    """The manifest of a run of these records; `plan` replaces fields."""
    return RunManifest(
        model=name,
        endpoint="http://127.0.0.1:1/v1",
        plan=_plan(name, records).model_copy(update=dict(plan or {})),
        config={"seed": 0},
        provenance=Provenance(
            created_at="2026-01-01T00:00:00+00:00", python="3", packages={}, git_commit=None, dirty=None
        ),
        scores=scores.scores,
        breakdown=scores.breakdown,
        latency=(),
        memory=None,
        requests=len(records),
        failed=sum(record.state == "failed" for record in records),
        retried=0,
        notes=scores.notes,
    )


def _plan(name: str, records: Records) -> RunPlan:
    return RunPlan(
        model=name,
        dataset="scenes:test",
        dataset_hash=HASH,
        tasks=tuple(dict.fromkeys(record.task for record in records)),
        limits={"captions": 9, "questions": 9, "retrieval": 0, "shard": 16},
        prompts={"name": "zoo", "caption": "describe the image."},
        modes={"vqa": "official"},
        seed=0,
    )


def _write_lines(path: Path, rows: Sequence[Schema]) -> None:
    path.write_text("".join(row.model_dump_json() + "\n" for row in rows))
