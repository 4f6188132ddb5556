"""Answers that are answers, however odd: control characters, a million characters, any script."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bitloom.results import SampleRecord
from eval_client.run.evaluation import evaluate
from eval_client.run.progress import SilentProgress

if TYPE_CHECKING:
    from tests.integration.eval_client.conftest import Served

ODD = {
    "control": "a\x00red\x07 \x1b[31mcircle\r\n\u2028on\x0b\x0cgrey\x85.",
    "long": "circle" * 170_000,
    "scripts": "दो लाल वृत्त 两个红色圆圈 דו עיגולים \U0001f534 \ud83d".encode("utf-8", "replace").decode(),
    "blank": "  \n ",
}


@pytest.mark.parametrize("name", ODD)
async def test_every_answer_is_kept_as_it_came_and_scored(served: Served, tmp_path: Path, name: str) -> None:
    served.fake.answer = lambda asked: ODD[name]
    config = served.config(tasks=("caption", "vqa"), timed_sequential=0, timed_loaded=0)
    run = await evaluate(config, tmp_path / "run", SilentProgress())
    lines = (tmp_path / "run" / "samples.jsonl").read_bytes().split(b"\n")
    records = [SampleRecord.model_validate_json(line) for line in lines if line]
    assert len(records) == run.requests == 10
    assert {record.answer for record in records} == {ODD[name]}
    assert run.failed == 0
    for score in run.scores:
        assert 0 <= score.value <= 10
        assert score.samples in (4, 6)
