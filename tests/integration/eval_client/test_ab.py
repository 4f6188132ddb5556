"""Two models asked at once: pair by pair, resumable, and compared."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from bitloom.errors import InputError
from bitloom.results import RunManifest, SampleRecord
from eval_client.ab.experiment import run_ab
from eval_client.cli_ab import command
from eval_client.compare.comparison import compare_runs
from eval_client.compare.margins import Margins
from eval_client.compare.model import Comparison
from eval_client.datasets import load_dataset
from eval_client.errors import RunStoppedError
from eval_client.run.progress import SilentProgress
from tests.integration.eval_client.conftest import Asked, FakeEndpoint, Served, right_answers

MODELS = ("base", "w4", "blip2")
SLOWER_S = 0.03


class ThreeModels(FakeEndpoint):
    """Three models; `slower` waits before it answers, `wrong` never knows."""

    def __init__(self) -> None:
        super().__init__()
        self.slower: str | None = None
        self.wrong: str | None = None

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name, "object": "model"} for name in MODELS]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if (await request.json())["model"] == self.slower:
            await asyncio.sleep(SLOWER_S)
        return await super()._chat(request)

    def of(self, model: str) -> Counter[tuple[str, str]]:
        """How often each prompt and image was asked of a model."""
        own = [asked for asked in self.asked if asked.body["model"] == model]
        return Counter((asked.prompt, asked.image_sha256) for asked in own)


@pytest.fixture
async def live() -> AsyncIterator[Served]:
    fake = ThreeModels()
    server = TestServer(fake.app())
    await server.start_server()
    try:
        yield Served(fake, str(server.make_url("")).rstrip("/"), server.close)
    finally:
        await server.close()


def models_of(served: Served) -> ThreeModels:
    assert isinstance(served.fake, ThreeModels)
    return served.fake


def lines(path: Path) -> list[SampleRecord]:
    return [SampleRecord.model_validate_json(line) for line in path.read_text().splitlines()]


async def test_both_are_asked_the_same_at_once_and_compared(live: Served, tmp_path: Path) -> None:
    fake = models_of(live)
    fake.slower = "w4"
    config = live.config(model="base", concurrency=1, timed_sequential=12, timed_loaded=6)
    right = right_answers(load_dataset(config.data, config.limits))
    fake.answer = lambda asked: "nothing" if asked.body["model"] == "w4" else right(asked)
    a, b = await run_ab(config, "w4", tmp_path, SilentProgress())
    assert (a, b) == (tmp_path / "a", tmp_path / "b")
    first, second = (RunManifest.read(run / "run.json") for run in (a, b))
    assert first.interleaved is not None
    assert first.interleaved == second.interleaved
    assert (first.requests, first.failed) == (second.requests, second.failed) == (4 + 6 + 16, 0)
    assert first.latency[0].requests_per_s is None
    probes = next(place for place, asked in enumerate(fake.asked) if asked.is_stream)
    asked_in_turn = [asked.body["model"] for asked in fake.asked[probes : probes + 2 * first.requests]]
    pairs = list(zip(asked_in_turn[::2], asked_in_turn[1::2], strict=True))
    assert Counter(pairs) == {("base", "w4"): 13, ("w4", "base"): 13}
    comparison = compare_runs(a, b, Margins())
    assert comparison.is_interleaved
    assert not any("drift" in note for note in comparison.notes)
    accuracy = next(each for each in comparison.metrics if each.name == "vqa_accuracy")
    assert (accuracy.a, accuracy.b) == (1.0, 0.0)
    ttft = next(each for each in comparison.latency if (each.load, each.figure) == ("sequential", "TTFT"))
    assert ttft.pairs == 12
    assert ttft.outcome == "slower"
    assert ttft.difference_s > 0.5 * SLOWER_S
    timed = [lines(run / "latency.jsonl") for run in (a, b)]
    hashes = {record.image_sha256 for records in timed for record in records}
    assert len(hashes) == 2 * (12 + 6)


async def test_the_command_finds_the_same_weights_equivalent(live: Served, tmp_path: Path) -> None:
    arms = ["--endpoint", live.url, "--model-a", "base", "--model-b", "w4", "--out", str(tmp_path)]
    asked = ["--tasks", "vqa", "--samples", "200", "--margin", "0.1"]
    untimed = {"BITLOOM_EVAL_TIMED_SEQUENTIAL": "0", "BITLOOM_EVAL_TIMED_LOADED": "0"}
    result = await asyncio.to_thread(CliRunner().invoke, command, [*arms, *asked], env=untimed)
    assert result.exit_code == 0, result.output
    assert "vqa, vqa_accuracy: equivalent within 0.100" in result.output
    comparison = Comparison.read(tmp_path / "comparison.json")
    assert (comparison.a.model, comparison.b.model) == ("base", "w4")
    assert "| vqa_accuracy * |" in (tmp_path / "comparison.md").read_text()
    assert models_of(live).of("base") == models_of(live).of("w4")
    assert set(models_of(live).of("base").values()) == {1}


async def test_what_was_interrupted_goes_on_and_asks_nothing_twice(live: Served, tmp_path: Path) -> None:
    fake = models_of(live)
    config = live.config(model="base", tasks=("vqa",), retries=0, timed_sequential=2, timed_loaded=0)

    def broken(asked: Asked) -> str | None:
        return "bad_request" if asked.body["model"] == "w4" and len(fake.asked) > 4 else None

    fake.fault = broken
    with pytest.raises(RunStoppedError, match=r"run the same command again to resume"):
        await run_ab(config, "w4", tmp_path, SilentProgress())
    answered = {name: lines(tmp_path / name / "samples.jsonl") for name in ("a", "b")}
    assert not (tmp_path / "a" / "run.json").exists()
    kept = {name: {each.prompt for each in records if each.answer} for name, records in answered.items()}
    assert 0 < len(kept["b"]) < 6
    fake.fault = lambda asked: None
    before = len(fake.asked)
    await run_ab(config, "w4", tmp_path, SilentProgress())
    again = [asked for asked in fake.asked[before:] if asked.prompt.endswith("?")]
    untimed = again[: 12 - len(kept["a"]) - len(kept["b"])]
    assert all(asked.prompt not in kept["b"] for asked in untimed if asked.body["model"] == "w4")
    before = len(fake.asked)
    await run_ab(config, "w4", tmp_path, SilentProgress())
    assert len(fake.asked) == before


async def test_models_that_would_be_asked_other_things_are_refused(live: Served, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="prompts differ"):
        await run_ab(live.config(model="base"), "blip2", tmp_path, SilentProgress())
    with pytest.raises(InputError, match="model 'w5': not at"):
        await run_ab(live.config(model="base"), "w5", tmp_path, SilentProgress())


def test_at_most_eight_flags() -> None:
    assert len(command.params) <= 8
