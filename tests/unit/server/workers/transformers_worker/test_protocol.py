"""Requests: what is understood, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.errors import BadRequest
from server.workers.transformers_worker.protocol import NEUTRAL, parse_chat

BASE: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def parse(**fields: Any) -> Any:
    return parse_chat(json.dumps({**BASE, **fields}).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("tools", [{"type": "function"}]),
        ("tool_choice", "required"),
        ("logit_bias", {"1": 5}),
        ("frequency_penalty", 0.5),
        ("response_format", {"type": "json_object"}),
        ("stop_token_ids", [3]),
    ],
)
def test_fields_that_would_change_the_answer_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(BadRequest, match=f"{field}: not served") as caught:
        parse(**{field: value})
    assert caught.value.param == field


@pytest.mark.parametrize(("field", "values"), sorted(NEUTRAL.items()))
def test_their_neutral_values_are_taken(field: str, values: tuple[object, ...]) -> None:
    for value in (*values, None):
        assert parse(**{field: value}).model == "m"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"temperature": -1}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"prompt_logprobs": 0, "stream": True}, "prompt_logprobs"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "messages.0.content"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(**fields)
    assert caught.value.param is not None
    assert caught.value.param.startswith(param)


def test_a_body_that_is_no_json_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match="body: Invalid JSON"):
        parse_chat(b"{")


def test_templates_see_images_without_their_data() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    content = [image, {"type": "text", "text": "what?"}]
    request = parse(messages=[{"role": "user", "content": content}, {"role": "assistant", "content": None}])
    assert request.messages[0].template_form() == {
        "role": "user",
        "content": [{"type": "image"}, {"type": "text", "text": "what?"}],
    }
    assert request.messages[1].template_form() == {"role": "assistant", "content": ""}
    assert list(request.image_urls()) == ["data:image/png;base64,AAAA"]


@pytest.mark.parametrize(("stop", "stops"), [(None, ()), ("a", ("a",)), (["a", ""], ("a",))])
def test_stop_is_a_string_or_several(stop: object, stops: tuple[str, ...]) -> None:
    assert parse(stop=stop).stops == stops
