"""What engines send validates after it was brought into form, and says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.app.official_form import ABSENT_NOT_NULL, chat_form, error_form, text_form
from tests.conformance.openai.description import Description

RECORDED = Path(__file__).resolve().parents[3] / "conformance" / "openai" / "vllm_answers.json"
HEAD = {"id": "x", "created": 1, "model": "m"}
TOKEN = {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}
USAGE = {"prompt_tokens": 1, "total_tokens": 2, "completion_tokens": 1, "prompt_tokens_details": None}
NAMES = st.sampled_from([*ABSENT_NOT_NULL, "logprobs", "content", "stop_reason"])
TEXTS = st.text('",:{}[]nul\\ ' + "usage", max_size=30) | st.sampled_from([',"usage":null', '{"id":null}'])
DOCUMENTS = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXTS, inner, max_size=4),
    max_leaves=12,
)


def as_vllm_writes(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def vllm_chat() -> dict[str, Any]:
    message = {"role": "assistant", "content": 'a ,"usage":null', "refusal": None, "annotations": None}
    message |= {"audio": None, "function_call": None, "reasoning": None}
    choice = {"index": 0, "message": message, "logprobs": {"content": [TOKEN]}, "finish_reason": "stop"}
    return {
        **HEAD,
        "object": "chat.completion",
        "choices": [{**choice, "stop_reason": None}],
        "system_fingerprint": None,
        "usage": USAGE,
        "prompt_logprobs": None,
    }


def vllm_text(**choice: Any) -> dict[str, Any]:
    choices = [{"index": 0, "text": "a", "finish_reason": "stop", **choice}]
    return {**HEAD, "object": "text_completion", "choices": choices, "usage": USAGE}


@pytest.fixture(scope="module")
def description() -> Description:
    return Description.read()


def test_the_names_are_those_of_the_description(description: Description) -> None:
    chat = description.absent_not_null("CreateChatCompletionResponse")
    chunk = description.absent_not_null("CreateChatCompletionStreamResponse")
    text = description.absent_not_null("CreateCompletionResponse")
    assert set(ABSENT_NOT_NULL) == chat | chunk | text


def test_a_chat_of_vllm_becomes_official(description: Description) -> None:
    with pytest.raises(jsonschema.ValidationError):
        description.check_whole("/v1/chat/completions", vllm_chat())
    formed = json.loads(chat_form(as_vllm_writes(vllm_chat())))
    description.check_whole("/v1/chat/completions", formed)
    message = formed["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": 'a ,"usage":null',
        "refusal": None,
        "audio": None,
        "reasoning": None,
    }
    assert formed["choices"][0]["logprobs"] == {"content": [TOKEN], "refusal": None}
    assert "prompt_logprobs" in formed


def test_a_chat_that_is_official_stays_as_it_is() -> None:
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": None, "finish_reason": None}
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}
    event = b"data: " + as_vllm_writes(chunk) + b"\n\n"
    assert chat_form(event * 2) == event * 2
    choice["logprobs"] = {"content": [TOKEN], "refusal": None}
    event = b"data: " + as_vllm_writes(chunk) + b"\n\n"
    assert chat_form(event) == event


@pytest.mark.parametrize(
    "choice",
    [
        {"logprobs": {"tokens": ["a"], "token_logprobs": [None, -1.0], "top_logprobs": [None, {"]": -1.0}]}},
        {"logprobs": {"text_offset": [0], "token_logprobs": [-1.0], "tokens": ["a"], "top_logprobs": None}},
        {"logprobs": None},
        {},
    ],
)
def test_a_text_of_vllm_becomes_official(description: Description, choice: dict[str, Any]) -> None:
    data = as_vllm_writes(vllm_text(**choice))
    formed = json.loads(text_form(data))
    description.check_whole("/v1/completions", formed)
    kept = (choice.get("logprobs") or {}).get("token_logprobs")
    given = (formed["choices"][0]["logprobs"] or {}).get("token_logprobs")
    assert given == (None if kept is None else [0.0 if each is None else each for each in kept])
    stream = text_form(b"data: " + data + b"\n\ndata: [DONE]\n\n").decode()
    assert description.check_stream("/v1/completions", stream) == 1


def test_what_vllm_sent_becomes_official(description: Description) -> None:
    """Answers of vLLM 0.32 before zoo/tiny-llava, as they came over its socket."""
    found = json.loads(RECORDED.read_text(encoding="utf-8"))
    deviating = 0
    for each in found:
        path, sent = each["path"], each["answer"]
        form = chat_form if path == "/v1/chat/completions" else text_form
        formed = form(sent.encode()).decode()
        if each["request"].get("stream"):
            assert description.check_stream(path, formed) >= 3
        else:
            description.check_whole(path, json.loads(formed))
        deviating += formed != sent
        assert form(formed.encode()).decode() == formed
    assert (len(found), deviating) == (12, 9)


@pytest.mark.parametrize(
    "error",
    [
        {"message": "out of pages", "type": "InternalServerError", "param": None, "code": 500},
        {"message": "x", "code": "y", "param": "z", "type": "t", "object": "error"},
        {"code": {}},
        "words",
        None,
    ],
)
def test_an_engines_error_becomes_official(description: Description, error: Any) -> None:
    chunk = b'data: {"choices":[]}\n\n'
    events = error_form(chunk + b"data: " + as_vllm_writes({"error": error}) + b"\n\n")
    assert events.startswith(chunk)
    assert events.endswith(b"\n\n")
    formed = json.loads(events.strip().rpartition(b"data: ")[2])
    description.check_error(formed)
    if isinstance(error, dict) and "message" in error:
        assert formed["error"]["message"] == error["message"]


@given(DOCUMENTS)
def test_nothing_changes_but_nulls_that_may_be_absent(document: Any) -> None:
    """No text, however it looks like JSON, and no structure."""

    def without(node: Any) -> Any:
        if isinstance(node, list):
            return [without(each) for each in node]
        if not isinstance(node, dict):
            return node
        gone = {key for key, each in node.items() if each is None and key in ABSENT_NOT_NULL}
        return {key: without(each) for key, each in node.items() if key not in gone}

    with_refusals = json.loads(chat_form(as_vllm_writes(document)))
    assert _no_refusals(with_refusals) == _no_refusals(without(document))


def _no_refusals(node: Any) -> Any:
    """Log probabilities of chats get a `refusal`, which the nulls have nothing to do with."""
    if isinstance(node, list):
        return [_no_refusals(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {key: _no_refusals(each) for key, each in node.items() if key != "refusal"}
