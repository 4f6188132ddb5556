"""Both workers answer about an image, whole and streamed, and give the same text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

Ask = Callable[[Image.Image, str], list[dict[str, Any]]]
QUESTION = "What color is the circle?"


def streamed(worker: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Text and usage of a streamed answer."""
    body = {"model": "mixed", "stream": True, "stream_options": {"include_usage": True}, **fields}
    texts, usage = [], None
    with worker.client.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert events[-1] == "[DONE]"
    for event in map(json.loads, events[:-1]):
        usage = event.get("usage") or usage
        texts += [choice["delta"].get("content") or "" for choice in event["choices"]]
    assert usage is not None
    return "".join(texts), usage


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_streamed_answers_are_the_whole_ones(
    engine: str, request: pytest.FixtureRequest, scenes: list[Image.Image], ask: Ask
) -> None:
    worker = request.getfixturevalue(f"{engine}_llava")
    fields = {"messages": ask(scenes[0], QUESTION), "temperature": 0, "max_tokens": 12}
    whole = worker.chat(**fields)
    text, usage = streamed(worker, **fields)
    assert text == whole["choices"][0]["message"]["content"]
    for count in ("prompt_tokens", "completion_tokens"):
        assert usage[count] == whole["usage"][count]
    assert usage["prompt_tokens"] > 64
    assert worker.client.get("/v1/models").json()["data"][0]["id"] == "mixed"


def test_both_engines_give_the_same_answers(
    vllm_llava: Any, transformers_llava: Any, scenes: list[Image.Image], ask: Ask
) -> None:
    for image in scenes:
        fields = {"messages": ask(image, QUESTION), "temperature": 0, "max_tokens": 8, "prompt_logprobs": 0}
        vllm, transformers = (worker.chat(**fields) for worker in (vllm_llava, transformers_llava))
        assert vllm["choices"][0]["message"]["content"] == transformers["choices"][0]["message"]["content"]
        assert vllm["usage"]["prompt_tokens"] == transformers["usage"]["prompt_tokens"]
        places = zip(transformers["prompt_logprobs"], vllm["prompt_logprobs"], strict=True)
        for ours, theirs in list(places)[1:]:
            token, place = next(iter(theirs.items()))
            assert ours[token]["logprob"] == pytest.approx(place["logprob"], abs=1e-3)
            assert ours[token]["decoded_token"] == place["decoded_token"]


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_a_bad_request_is_an_openai_error(engine: str, request: pytest.FixtureRequest) -> None:
    worker = request.getfixturevalue(f"{engine}_llava")
    response = worker.client.post("/v1/chat/completions", json={"model": "mixed", "messages": "no"})
    assert response.status_code == 400
    assert response.json()["error"]["message"]


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_the_socket_is_private_and_metrics_are_there(engine: str, request: pytest.FixtureRequest) -> None:
    worker = request.getfixturevalue(f"{engine}_llava")
    assert worker.socket.stat().st_mode & 0o077 == 0
    assert "# TYPE" in worker.client.get("/metrics").text
