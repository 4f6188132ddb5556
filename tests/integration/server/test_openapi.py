"""What /openapi.json promises can be sent, and whatever is sent, the server does not fail."""

from __future__ import annotations

from typing import Any

import aiohttp
import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from server.app.chat_request import ChatRequest
from server.app.describe import json_body

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = {
    "model": st.just("a") | JSON,
    "messages": JSON | st.lists(st.fixed_dictionaries({"role": JSON, "content": JSON}), max_size=2),
    "prompt": JSON,
    "input": JSON,
    "stop": JSON,
    "n": JSON,
    "stream": st.booleans() | JSON,
    "stream_options": JSON,
    "name": JSON,
    "directory": JSON,
    "url": JSON,
    "request_id": JSON,
    "score": JSON,
}


async def test_bodies_are_described(connect: Any) -> None:
    served = await connect("a")
    async with served.http.get("/openapi.json") as response:
        document = await response.json()
    texts = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/score", "/tokenize")
    for path in (*texts, "/admin/variants"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator.check_schema(body)
        assert "$ref" not in str(body)
        assert "model" in str(body) or "name" in str(body)


def test_an_honest_chat_is_one_by_the_description() -> None:
    schema = json_body(ChatRequest)["requestBody"]["content"]["application/json"]["schema"]
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    chat = {"model": "a", "messages": [{"role": "user", "content": [part]}], "n": 1}
    jsonschema.Draft202012Validator(schema).validate(chat)
    assert not jsonschema.Draft202012Validator(schema).is_valid({**chat, "n": 0})


async def test_nothing_that_is_sent_makes_the_server_fail(connect: Any) -> None:
    served = await connect("a")
    async with served.http.get("/openapi.json") as response:
        paths = (await response.json())["paths"]
    posts = sorted(path for path, methods in paths.items() if "post" in methods and "{" not in path)
    assert len(posts) >= 6
    drawn: list[tuple[str, Any]] = []

    @settings(max_examples=60, database=None)
    @given(st.sampled_from(posts), st.fixed_dictionaries({}, optional=FIELDS) | JSON)
    def draw(path: str, body: Any) -> None:
        drawn.append((path, body))

    draw()
    # A client of its own: drawing blocks the loop, and the server closes what was idle meanwhile.
    async with aiohttp.ClientSession(served.url) as http:
        for path, body in drawn:
            async with http.post(path, json=body) as response:
                assert response.status < 500, (path, body, await response.text())
