"""A whole run against an endpoint that answers: scores, latency, memory, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bitloom.results import RunManifest, SampleRecord
from eval_client.run.evaluation import evaluate
from eval_client.run.progress import SilentProgress

if TYPE_CHECKING:
    from tests.integration.eval_client.conftest import Oracle, Served


async def test_an_endpoint_that_knows_everything_scores_everything(
    served: Served, oracle: Oracle, tmp_path: Path
) -> None:
    config = served.config()
    served.fake.answer = oracle(config)
    run = await evaluate(config, tmp_path / "run", SilentProgress())
    assert run == RunManifest.read(tmp_path / "run" / "run.json")
    for name in ("vqa_accuracy", "text_to_image_R@1", "image_to_text_R@1", "Bleu_4", "ROUGE_L"):
        score = run.score(name)
        assert score is not None
        assert score.value == pytest.approx(1.0), name
    assert run.plan.modes == {
        "vqa": "official",
        "retrieval": "yes_probability",
        "retrieval_candidates": "4",
    }
    assert run.failed == run.retried == 0
    assert run.requests == 4 + 6 + 16


async def test_timed_passes_send_new_images_and_no_retries(served: Served, tmp_path: Path) -> None:
    config = served.config(tasks=("caption",))
    run = await evaluate(config, tmp_path / "run", SilentProgress())
    images = [asked.image_sha256 for asked in served.fake.asked]
    assert len(set(images)) == len(images) == 4 + 2 + 2 + 3  # quality, warm-up, sequential, loaded
    assert [(timed.concurrency, timed.requests) for timed in run.latency] == [(1, 2), (3, 3)]
    alone = run.sequential
    assert alone is not None
    assert alone.time_to_first_token_s is not None
    assert alone.time_to_first_token_s.count == 2
    assert alone.generated_tokens_per_s is not None


async def test_records_hold_what_was_asked_and_answered(served: Served, tmp_path: Path) -> None:
    await evaluate(served.config(tasks=("caption",)), tmp_path / "run", SilentProgress())
    lines = (tmp_path / "run" / "samples.jsonl").read_text().splitlines()
    records = [SampleRecord.model_validate_json(line) for line in lines]
    assert len(records) == 4
    for record in records:
        assert record.answer == "a large red circle ."
        assert record.usage is not None
        assert len(record.chunk_times_s) == 5
        assert record.end_s is not None
        assert 0 < record.chunk_times_s[0] <= record.chunk_times_s[-1] <= record.end_s
        assert len(record.references) == 5
        assert record.image_sha256 in {asked.image_sha256 for asked in served.fake.asked}


async def test_equal_answers_to_all_pairs_are_reported_as_ties(served: Served, tmp_path: Path) -> None:
    served.fake.answer = lambda asked: "yes"
    run = await evaluate(served.config(tasks=("retrieval",)), tmp_path / "run", SilentProgress())
    score = run.score("text_to_image_R@1")
    assert score is not None
    assert score.value == 0.25
    ties = run.breakdown["retrieval ties"]
    assert ties["text_to_image_R@1 optimistic"] == 1.0
    assert ties["text_to_image_R@1 pessimistic"] == 0.0


async def test_memory_comes_from_the_gateway_where_it_has_the_figure(served: Served, tmp_path: Path) -> None:
    served.fake.metrics = (
        "# TYPE bitloom_memory_used_bytes gauge\n"
        'bitloom_memory_used_bytes{variant="other"} 5.0\n'
        'bitloom_memory_used_bytes{variant="fake"} 1.5e+09\n'
        'bitloom_weight_bytes{variant="fake",component="language"} 2e+06\n'
        'bitloom_predicted_weight_bytes{variant="fake",component="language"} 1.9e+06\n'
        'bitloom_loaded_resident_bytes{variant="fake"} 9e+08\n'
    )
    run = await evaluate(served.config(tasks=("caption",)), tmp_path / "run", SilentProgress())
    assert run.memory is not None
    assert run.memory.peak_resident_bytes == 1_500_000_000
    assert "gateway" in run.memory.source
    language = run.memory.weights["language"]
    assert (language.loaded_bytes, language.predicted_bytes) == (2_000_000, 1_900_000)
    assert (run.memory.loaded_resident_bytes, run.memory.loaded_peak_bytes) == (900_000_000, None)
    lines = (tmp_path / "run" / "memory.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["resident_bytes"] == 1_500_000_000


async def test_memory_of_a_local_server_is_that_of_its_process(served: Served, tmp_path: Path) -> None:
    run = await evaluate(served.config(tasks=("caption",)), tmp_path / "run", SilentProgress())
    assert run.memory is not None
    assert "process tree" in run.memory.source
    assert run.memory.peak_resident_bytes > 10 << 20


async def test_an_endpoint_without_logprobs_is_not_asked_for_retrieval(
    served: Served, tmp_path: Path
) -> None:
    served.fake.has_logprobs = False
    progress = SilentProgress()
    run = await evaluate(served.config(), tmp_path / "run", progress)
    assert "retrieval" not in run.plan.tasks
    assert run.score("text_to_image_R@1") is None
    assert any("retrieval not evaluated" in note for note in run.notes)
    assert list(run.notes) == progress.notes
