"""Endpoints that misbehave: nothing that is no answer is scored as one, and the message says what it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bitloom.errors import EndpointError, InputError
from bitloom.results import SampleRecord
from eval_client.config import RunConfig
from eval_client.endpoint import ChatClient, ChatRequest, open_client, open_session
from eval_client.errors import RequestError, RunStoppedError
from eval_client.images import EncodedImage
from eval_client.run.evaluation import evaluate
from eval_client.run.progress import SilentProgress

if TYPE_CHECKING:
    from tests.integration.eval_client.conftest import Asked, Oracle, Served

FAULTS = {
    "server_error": "http_5xx: HTTP 503: worker lost",
    "bad_request": "http_4xx: HTTP 400: no such image",
    "error_body": "error_body: out of memory",
    "error_event": "error_body: engine died",
    "garbage": "garbage: neither JSON nor",
    "not_utf8": "garbage: an event that is not UTF-8",
    "html": "garbage: asked for a stream, got text/html",
    "empty_choices": "empty: the stream ended without any choices",
    "half": "closed: ",
    "ends_early": "closed: the stream ended half-way, after 1 chunks",
    "stall": "stalled: ",
    "slow": "timeout: ",
    "aborted": "aborted: ",
}
REQUEST = ChatRequest("fake", EncodedImage(b"x", "image/png"), "describe", 16)


@asynccontextmanager
async def connected(
    served: Served, timeout_s: float = 4.0, stall_s: float = 2.0
) -> AsyncIterator[ChatClient]:
    async with (
        open_session(1, None) as session,
        open_client(session, f"{served.url}/v1", timeout_s=timeout_s, stall_s=stall_s) as client,
    ):
        yield client


def records(path: Path) -> list[SampleRecord]:
    return [SampleRecord.model_validate_json(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(("fault", "message"), FAULTS.items())
async def test_every_way_to_fail_has_a_name(served: Served, fault: str, message: str) -> None:
    served.fake.fault = lambda asked: fault
    async with connected(served) as client:
        with pytest.raises(RequestError) as failure:
            await client.stream(REQUEST)
    assert str(failure.value).startswith(message)


async def test_a_role_only_first_chunk_is_not_the_first_token(served: Served) -> None:
    served.fake.answer = lambda asked: "a circle"
    async with connected(served) as client:
        reply = await client.stream(REQUEST)
    assert reply.text == "a circle"
    assert len(reply.chunk_times_s) == 2


async def test_only_a_stream_can_stall(served: Served) -> None:
    served.fake.delay_s = 0.8
    async with connected(served, timeout_s=20.0, stall_s=0.2) as client:
        assert (await client.complete(REQUEST)).text == "a large red circle ."
        with pytest.raises(RequestError, match="stalled"):
            await client.stream(REQUEST)


async def test_connections_are_used_again(served: Served) -> None:
    async with connected(served) as client:
        for _ in range(3):
            await client.stream(REQUEST)
        assert client.wire.idle_connections == 1


async def test_a_failure_that_passes_is_tried_again_and_counted(served: Served, tmp_path: Path) -> None:
    served.fake.fault = lambda asked: "server_error" if asked.attempt == 1 else None
    config = served.config(tasks=("caption",), timed_sequential=0, timed_loaded=0)
    run = await evaluate(config, tmp_path / "run", SilentProgress())
    assert (run.failed, run.retried) == (0, 4)


async def test_failed_requests_are_in_no_score_and_no_latency(
    served: Served, oracle: Oracle, tmp_path: Path
) -> None:
    config = served.config(tasks=("vqa",), max_failure_rate=0.2, timed_sequential=0, timed_loaded=0)
    served.fake.answer = oracle(config)
    first = (await _first_question(served, config, tmp_path)).prompt
    served.fake.fault = lambda asked: "half" if asked.prompt == first else None
    run = await evaluate(config, tmp_path / "run", SilentProgress())
    score = run.score("vqa_accuracy")
    assert score is not None
    assert (score.value, score.samples, run.failed) == (1.0, 5, 1)
    failed = [record for record in records(tmp_path / "run" / "samples.jsonl") if record.state == "failed"]
    assert failed[-1].answer is None
    assert failed[-1].chunk_times_s == ()
    assert failed[-1].error is not None
    assert failed[-1].retries == 2


async def _first_question(served: Served, config: RunConfig, tmp_path: Path) -> SampleRecord:
    await evaluate(config, tmp_path / "before", SilentProgress())
    return records(tmp_path / "before" / "samples.jsonl")[0]


async def test_too_many_failures_end_the_run_without_a_manifest(served: Served, tmp_path: Path) -> None:
    served.fake.fault = lambda asked: "bad_request"
    config = served.config(tasks=("caption",))
    with pytest.raises(
        RunStoppedError, match=r"4 of 4 requests failed, 0 may; the first is caption/.*HTTP 400"
    ):
        await evaluate(config, tmp_path / "run", SilentProgress())
    assert not (tmp_path / "run" / "run.json").exists()
    served.fake.fault = lambda asked: None
    run = await evaluate(config, tmp_path / "run", SilentProgress())
    assert run.failed == 0


async def test_a_failed_timed_request_is_in_no_figure(served: Served, tmp_path: Path) -> None:
    quality = 4
    served.fake.fault = lambda asked: "half" if len(served.fake.asked) == quality + 3 else None
    run = await evaluate(served.config(tasks=("caption",)), tmp_path / "run", SilentProgress())
    alone = run.sequential
    assert alone is not None
    assert (alone.requests, alone.failed) == (2, 1)
    assert alone.request_latency_s is not None
    assert alone.request_latency_s.count == 1


async def test_nothing_listens_is_said_within_seconds(served: Served, tmp_path: Path) -> None:
    await served.stop()
    start = time.monotonic()
    with pytest.raises(EndpointError, match=r"refused: no connection.*start one \(`bitloom serve`\)"):
        await evaluate(served.config(), tmp_path / "run", SilentProgress())
    assert time.monotonic() - start < 20
    assert not (tmp_path / "run").exists()


async def test_an_unknown_model_is_the_users_mistake(served: Served, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model 'other': not at .* which has fake"):
        await evaluate(served.config(model="other"), tmp_path / "run", SilentProgress())


async def test_an_endpoint_that_dies_in_the_middle_leaves_a_resumable_run(
    served: Served, tmp_path: Path
) -> None:
    stopping: list[asyncio.Task[None]] = []

    def fault(asked: Asked) -> str | None:
        if len(served.fake.asked) == 4:
            stopping.append(asyncio.get_running_loop().create_task(served.stop()))
        return "half" if stopping else None

    served.fake.fault = fault
    config = served.config(tasks=("vqa",), concurrency=1)
    with pytest.raises(RunStoppedError, match=r"the endpoint is gone.*run the same command again"):
        await evaluate(config, tmp_path / "run", SilentProgress())
    kept = [each for each in records(tmp_path / "run" / "samples.jsonl") if each.state == "answered"]
    assert len(kept) == 3
