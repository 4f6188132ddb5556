"""Scores of pairs and embeddings of messages: media rules, limits, keys and metrics are those of chats."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from server.keys import create_key
from tests.conformance.openai.description import Description

SCORED = {"route": "a", "variant": "a", "finish_reason": "none"}


def part(image: Image.Image, kind: str = "PNG") -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    url = f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": url}}


PHOTO = part(Image.new("RGB", (20, 10), "blue"), "JPEG")
TINY = part(Image.new("RGB", (1, 1)))
FAR = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}


def pair(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "a", "text_1": "a blue square", "text_2": {"content": list(parts)}, **fields}


def message(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "a", "messages": [{"role": "user", "content": list(parts)}], **fields}


async def matcher(connect: Any, **settings: Any) -> Any:
    served = await connect("a", **settings)
    served.engines["a"].is_matcher = True
    return served


async def post(served: Any, path: str, body: Any, key: str | None = None) -> tuple[int, dict[str, Any]]:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with served.http.post(path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_a_pair_is_scored_and_counted(connect: Any) -> None:
    served = await matcher(connect)
    status, document = await post(served, "/v1/score", pair(PHOTO, activation=True))
    assert (status, document["data"][0]["score"]) == (200, 0.5)
    received = served.engines["a"].received[0]
    url = received["text_2"]["content"][0]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,")
    assert (received["text_1"], received["activation"]) == ("a blue square", True)
    assert served.metric("requests_total", code="200", **SCORED) == 1
    assert served.metric("image_decode_seconds_count") == 1


async def test_many_items_keep_their_order(connect: Any) -> None:
    served = await matcher(connect, worker={"max_images": 2})
    other = part(Image.new("RGB", (10, 20), "red"))
    body = {"model": "a", "text_1": [{"content": [other]}, "x"], "text_2": ["y", {"content": [PHOTO]}]}
    assert (await post(served, "/v1/score", body))[0] == 200
    received = served.engines["a"].received[0]
    assert (received["text_1"][1], received["text_2"][0]) == ("x", "y")
    for item, size in ((received["text_1"][0], (10, 20)), (received["text_2"][1], (20, 10))):
        content = base64.b64decode(item["content"][0]["image_url"]["url"].partition(",")[2])
        assert Image.open(io.BytesIO(content)).size == size


async def test_an_image_is_embedded_as_a_message(connect: Any) -> None:
    served = await matcher(connect)
    status, document = await post(served, "/v1/embeddings", message(PHOTO, encoding_format="float"))
    assert (status, document["data"][0]["embedding"]) == (200, [1.0, 1.0])
    Description.read().check_whole("/v1/embeddings", document)
    received = served.engines["a"].received[0]
    assert received["encoding_format"] == "float"
    assert received["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/score", pair(TINY), "text_2.content[0].image_url"),
        ("/v1/score", pair(FAR), "text_2.content[0].image_url"),
        ("/v1/score", pair(PHOTO, text_1={"content": [PHOTO]}), "text_2"),
        ("/v1/score", pair(PHOTO, text_1=["x"] * 65), "text_2"),
        ("/v1/score", pair({"type": "image_embeds", "image_embeds": "AAAA"}), "text_2.content[0]"),
        ("/v1/score", pair(PHOTO, text_1=3), "text_1"),
        ("/v1/score", pair(PHOTO, mm_processor_kwargs={"size": 1}), "mm_processor_kwargs"),
        ("/v1/score", pair(PHOTO, data_2={"content": [FAR]}), "data_2"),
        ("/v1/embeddings", message(TINY), "messages[0].content[0].image_url"),
        ("/v1/embeddings", message(PHOTO, PHOTO), "messages"),
        ("/v1/embeddings", message(PHOTO, input="x"), "input"),
    ],
)
async def test_nothing_comes_past_the_checks(connect: Any, path: str, body: Any, param: str) -> None:
    served = await matcher(connect)
    status, document = await post(served, path, body)
    assert (status, document["error"]["param"]) == (400, param), document
    assert served.engines["a"].received == []


async def test_keys_are_asked_for_and_charged(connect: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    infer = create_key(keys, "one", ("infer",))
    admin = create_key(keys, "two", ("admin",))
    served = await matcher(connect, keys_file=keys)
    for path, body in (("/v1/score", pair(PHOTO)), ("/v1/embeddings", message(PHOTO))):
        given = [(await post(served, path, body, key))[0] for key in (None, admin, infer)]
        assert given == [401, 403, 200]
