"""OpenAI's own client, validating strictly, against the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

Messages = Any
CHAT: Messages = [{"role": "user", "content": "tokens=3"}]


@pytest.fixture
async def client(connect: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    served = await connect("a", timeouts={"first_byte_s": 2, "idle_s": 2})
    async with openai.AsyncOpenAI(
        base_url=f"{served.url}/v1", api_key="none", max_retries=0, _strict_response_validation=True
    ) as opened:
        yield opened


async def test_whole_and_streamed(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="a", messages=CHAT)
    assert whole.choices[0].message.content == "word word word "
    stream = await client.chat.completions.create(
        model="a", messages=CHAT, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    words = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(words) == "word0 word1 word2 "
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


async def test_a_text_completion(client: openai.AsyncOpenAI) -> None:
    whole = await client.completions.create(model="a", prompt="a red", logprobs=1)
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("word", "stop")


async def test_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["a"]
    assert (await client.models.retrieve("a")).object == "model"


async def test_errors_become_the_clients_exceptions(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(model="z", messages=CHAT)
    assert unknown.value.code == "model_not_found"
    assert unknown.value.request_id
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model="a", messages=CHAT, extra_body={"chat_template": "x"})
    assert refused.value.param == "chat_template"
    dying: Messages = [{"role": "user", "content": "tokens=5 die=2"}]
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="a", messages=dying)
    stream = await client.chat.completions.create(model="a", messages=dying, stream=True)
    seen: list[str | None] = []
    with pytest.raises(openai.APIError, match="was lost"):
        await collect(stream, seen)
    assert seen == ["word0 ", "word1 "]


async def collect(stream: Any, seen: list[str | None]) -> None:
    async for chunk in stream:
        seen.append(chunk.choices[0].delta.content)
