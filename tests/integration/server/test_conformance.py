"""Every answer, chunk and error has the form that OpenAI's own description gives it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from tests.conformance.openai.description import Description

MESSAGES = [{"role": "user", "content": "tokens=3"}]
CHAT = {"model": "a", "messages": MESSAGES}
TEXT = {"model": "a", "prompt": ["a red", "b"], "max_tokens": 3}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def description() -> Description:
    return Description.read()


async def post(served: Any, path: str, body: Any) -> tuple[int, str]:
    async with served.http.post(path, json=body) as response:
        assert len(response.headers["x-request-id"]) == 32
        return response.status, await response.text()


def test_the_judge_judges(description: Description) -> None:
    with pytest.raises(jsonschema.ValidationError):
        description.check_whole("/v1/chat/completions", {"object": "chat.completion", "choices": []})
    with pytest.raises(jsonschema.ValidationError):
        description.check_error({"error": {"message": "x"}})
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "a"}
    choice = {"index": 0, "delta": {}, "finish_reason": "bored"}
    with pytest.raises(jsonschema.ValidationError):
        description.check("CreateChatCompletionStreamResponse", {**chunk, "choices": [choice]})


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT)])
async def test_whole_and_streamed(connect: Any, description: Description, path: str, body: Any) -> None:
    served = await connect("a")
    status, text = await post(served, path, body)
    assert status == 200
    description.check_whole(path, json.loads(text))
    status, text = await post(served, path, {**body, **USAGE})
    assert status == 200
    assert description.check_stream(path, text) >= 2
    assert json.loads(text.strip().split("\n\n")[-2].removeprefix("data: "))["usage"]["prompt_tokens"] == 7


async def test_models(connect: Any, description: Description) -> None:
    served = await connect("a", "b")
    async with served.http.get("/v1/models") as response:
        description.check_whole("/v1/models", await response.json())
    async with served.http.get("/v1/models/b") as response:
        description.check_whole("/v1/models/{model}", await response.json())


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", {**CHAT, "n": 0}, 400),
        ("/v1/chat/completions", {**CHAT, "model": "none"}, 404),
        ("/v1/chat/completions", {"model": "a", "messages": [{"role": "user", "content": "die=0"}]}, 502),
        ("/v1/completions", {"model": "a"}, 400),
        ("/v1/completions", {**TEXT, "prompt": []}, 400),
        ("/v1/completions", {**TEXT, "prompt_embeds": "AAAA"}, 400),
        ("/v1/completions", {**TEXT, "prompt": [[1, 2], "x"]}, 400),
        ("/v1/completions", {**TEXT, "n": 100}, 400),
        ("/v1/completions", {**TEXT, "prompt": ["x"] * 1000}, 400),
        ("/v1/embeddings", {"model": "a", "input": "x"}, 404),
        ("/v1/embeddings", {"model": "a", "messages": MESSAGES}, 404),
        ("/v1/embeddings", {"model": "a", "messages": MESSAGES, "input": "x"}, 400),
        ("/v1/embeddings", {"model": "a"}, 400),
        ("/v1/score", {"model": "a", "text_1": "x", "text_2": "y"}, 404),
        ("/v1/score", {"model": "a", "text_1": "x", "text_2": []}, 400),
        ("/tokenize", {"model": "a", "prompt": 3}, 400),
        ("/tokenize", {"model": "a", "prompt": "x", "chat_template": "x"}, 400),
        ("/nothing", {}, 404),
    ],
)
async def test_errors(
    connect: Any, description: Description, path: str, body: dict[str, Any], status: int
) -> None:
    served = await connect("a")
    given, text = await post(served, path, body)
    assert given == status
    description.check_error(json.loads(text))


async def test_an_error_inside_a_stream(connect: Any, description: Description) -> None:
    served = await connect("a")
    _, body = await served.stream("tokens=5 die=2")
    description.check_error(json.loads(body.decode().strip().rpartition("data: ")[2]))


async def test_tokens_are_counted_by_the_worker(connect: Any) -> None:
    served = await connect("a")
    assert (
        json.loads((await post(served, "/tokenize", {"model": "a", "prompt": "a red dot"}))[1])["count"] == 3
    )
    assert json.loads((await post(served, "/tokenize", CHAT))[1])["tokens"] == [0]
    labels = {"route": "a", "variant": "a", "finish_reason": "none"}
    assert served.metric("requests_total", code="200", **labels) == 2
