"""The worker's HTTP API over ASGI, on a tiny random model."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from openai import AsyncOpenAI
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from server.workers.command import WorkerOptions
from server.workers.transformers_worker.app import create_app
from server.workers.transformers_worker.engine import Engine
from server.workers.transformers_worker.loading import LoadedModel

CONTEXT = 64
TOO_LONG = [{"role": "user", "content": "x" * CONTEXT}]
NO_IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]


@pytest.fixture
async def client(loaded: LoadedModel) -> AsyncIterator[httpx.AsyncClient]:
    engine = Engine(loaded, WorkerOptions(max_num_seqs=4))
    transport = httpx.ASGITransport(create_app("tiny", engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as opened:
        yield opened
    engine.close()


def noise_uri(seed: int) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def chat(seed: int = 0, **fields: Any) -> dict[str, Any]:
    content = [
        {"type": "image_url", "image_url": {"url": noise_uri(seed)}},
        {"type": "text", "text": "what"},
    ]
    messages = [{"role": "user", "content": content}]
    greedy = {"temperature": 0, "max_tokens": 8, "ignore_eos": True}
    return {"model": "tiny", "messages": messages, **greedy, **fields}


async def ask(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post("/v1/chat/completions", json=chat(**fields))
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


async def chunks(client: httpx.AsyncClient, **fields: Any) -> list[dict[str, Any]]:
    response = await client.post("/v1/chat/completions", json=chat(stream=True, **fields))
    assert response.headers["content-type"].startswith("text/event-stream")
    events = response.text.removesuffix("\n\n").split("\n\n")
    assert events[-1] == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events[:-1]]


async def test_whole_and_streamed_answers_agree(client: httpx.AsyncClient) -> None:
    whole = await ask(client, logprobs=True, top_logprobs=2)
    streamed = await chunks(client, logprobs=True, top_logprobs=2, stream_options={"include_usage": True})
    choice = whole["choices"][0]
    pieces = [chunk["choices"][0] for chunk in streamed[:-1]]
    assert "".join(piece["delta"].get("content", "") for piece in pieces) == choice["message"]["content"]
    tokens = [each for piece in pieces if piece["logprobs"] for each in piece["logprobs"]["content"]]
    assert tokens == choice["logprobs"]["content"]
    assert len(tokens) == 8
    assert tokens[0]["top_logprobs"][0]["token"] == tokens[0]["token"]
    assert pieces[-1]["finish_reason"] == choice["finish_reason"] == "length"
    assert streamed[-1]["choices"] == []
    assert streamed[-1]["usage"] == whole["usage"]
    assert whole["usage"]["completion_tokens"] == 8


async def test_the_openai_client_takes_the_answers(loaded: LoadedModel) -> None:
    engine = Engine(loaded, WorkerOptions())
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app("tiny", engine)))
    strict = AsyncOpenAI(
        base_url="http://worker/v1", api_key="-", http_client=http, _strict_response_validation=True
    )
    request = chat(logprobs=True, top_logprobs=1)
    request["extra_body"] = {"ignore_eos": request.pop("ignore_eos")}
    async with strict:
        whole = await strict.chat.completions.create(**request)
        stream = await strict.chat.completions.create(**request, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text == whole.choices[0].message.content
        assert [model.id async for model in strict.models.list()] == ["tiny"]
    engine.close()


async def test_a_stop_string_ends_the_answer_and_is_left_out(client: httpx.AsyncClient) -> None:
    text = (await ask(client))["choices"][0]["message"]["content"]
    stop = text[2:4]
    choice = (await ask(client, stop=stop))["choices"][0]
    assert choice["message"]["content"] == text[: text.index(stop)]
    assert choice["finish_reason"] == "stop"


async def test_the_answer_ends_with_the_context(client: httpx.AsyncClient) -> None:
    document = await ask(client, max_tokens=1000)
    assert document["usage"]["total_tokens"] == CONTEXT
    assert document["choices"][0]["finish_reason"] == "length"


async def test_concurrent_answers_are_those_of_one_at_a_time(client: httpx.AsyncClient) -> None:
    def text(document: dict[str, Any]) -> str:
        return str(document["choices"][0]["message"]["content"])

    alone = [text(await ask(client, seed=seed)) for seed in range(6)]
    together = await asyncio.gather(*(ask(client, seed=seed) for seed in range(6)))
    assert [text(document) for document in together] == alone
    assert len(set(alone)) > 1


async def test_prompt_logprobs_list_every_prompt_token(client: httpx.AsyncClient) -> None:
    document = await ask(client, prompt_logprobs=0, max_tokens=1)
    places = document["prompt_logprobs"]
    assert places[0] is None
    assert len(places) == document["usage"]["prompt_tokens"]
    assert "".join(next(iter(place.values()))["decoded_token"] for place in places[-5:]) == "what:"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "other"}, 404, "model_not_found"),
        ({"n": 2}, 400, "unsupported_field"),
        ({"temperature": 9}, 400, "invalid_field"),
        ({"messages": TOO_LONG}, 400, "context_length_exceeded"),
        ({"messages": TOO_LONG, "stream": True}, 400, "context_length_exceeded"),
        ({"messages": NO_IMAGE}, 400, "invalid_image"),
        ({"messages": chat()["messages"] * 2}, 400, "too_many_images"),
    ],
)
async def test_a_request_that_cannot_be_served_is_an_openai_error(
    client: httpx.AsyncClient, fields: dict[str, Any], status: int, code: str
) -> None:
    response = await client.post("/v1/chat/completions", json=chat(**fields))
    assert response.status_code == status
    assert response.json()["error"]["code"] == code


async def test_what_happened_is_counted(client: httpx.AsyncClient) -> None:
    await ask(client)
    await client.post("/v1/chat/completions", json=chat(messages=TOO_LONG))
    assert (await client.get("/health")).status_code == 200
    families = text_string_to_metric_families((await client.get("/metrics")).text)
    samples = {
        (each.name, *each.labels.values()): each.value for family in families for each in family.samples
    }
    assert samples["bitloom_worker_requests_total", "completed"] == 1
    assert samples["bitloom_worker_requests_total", "failed"] == 1
    assert samples["bitloom_worker_generation_tokens_total",] == 8
    assert samples["bitloom_worker_requests_running",] == 0
    assert samples["bitloom_worker_first_token_seconds_count",] == 1
