"""What the gateway understands of a chat request, and what it lets through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.app.chat_request import REFUSED_FIELDS, parse_chat
from server.config import Limits
from server.errors import BadRequest

LIMITS = Limits()


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}


def with_part(part: Any) -> dict[str, Any]:
    return chat(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, part]}])


def parse(document: Any) -> Any:
    return parse_chat(json.dumps(document).encode(), LIMITS, max_images=2)


def refused(body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse_chat(body, LIMITS, max_images=2)
    return caught.value


words = st.text('aé\u2028\U0001f600"\\ {', max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(words, json_values, max_size=4))
def test_unknown_fields_reach_the_engine_unchanged(extra: dict[str, Any]) -> None:
    document = {**{f"x_{key}": value for key, value in extra.items()}, **chat(temperature=0.1)}
    body = parse(document).body("variant", [])
    assert json.loads(body) == {**document, "model": "variant"}


def test_images_are_replaced_in_their_order() -> None:
    urls = ["data:image/png;base64,AA", "data:image/png;base64,BB"]
    parts = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}, "uuid": "u"} for url in urls]
    request = parse(chat(messages=[{"role": "user", "content": parts}]))
    assert [image.url for image in request.images()] == urls
    assert request.images()[1].param == "messages[0].content[1].image_url"
    sent = json.loads(request.body("v", ["one", "two"]))["messages"][0]["content"]
    assert sent == [{"type": "image_url", "image_url": {"url": url}} for url in ("one", "two")]


@pytest.mark.parametrize("name", sorted(REFUSED_FIELDS))
def test_refused_fields_are_named(name: str) -> None:
    error = refused(json.dumps(chat(**{name: "x"})).encode())
    assert (error.param, error.code, error.status) == (name, "refused_field", 400)


@pytest.mark.parametrize(
    "part",
    [
        {"image_url": {"url": "http://169.254.169.254/"}},
        {"type": "video_url", "video_url": {"url": "x"}},
        {"type": "image_embeds", "image_embeds": "AA"},
        {"type": "input_audio", "input_audio": {}},
        {"type": None, "image_url": "x"},
        {"type": ["text"], "text": "x"},
    ],
)
def test_other_media_do_not_pass(part: dict[str, Any]) -> None:
    error = refused(json.dumps(with_part(part)).encode())
    assert error.param == "messages[0].content[1]"
    assert error.code == "invalid_content_part"


def test_media_keys_inside_a_text_part_are_dropped() -> None:
    request = parse(with_part({"type": "text", "text": "b", "image_url": "http://x", "uuid": "u"}))
    assert b"image_url" not in request.body("v", [])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 1000}, "n"),
        ({"n": 0}, "n"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"max_completion_tokens": 10**9}, "max_completion_tokens"),
        ({"stop": ["x"] * 100_000}, "stop"),
        ({"stop": "x" * 10_000}, "stop"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": "yes"}, "stream"),
        ({"messages": []}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "x"}] * 2000}, "messages"),
        ({"model": 5}, "model"),
    ],
)
def test_faults_name_their_field_and_never_quote_it(fields: dict[str, Any], param: str) -> None:
    error = refused(json.dumps(chat(**fields)).encode())
    assert error.param == param
    assert len(error.message) < 300


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"model": "m", "model"}'),
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert refused(body).status == 400


def test_too_many_images() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:"}}
    messages = [{"role": "user", "content": [part] * 3}]
    assert "limit of 2" in refused(json.dumps(chat(messages=messages)).encode()).message
