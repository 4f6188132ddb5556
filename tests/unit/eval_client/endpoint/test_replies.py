"""Replies: what is whole is a reply, everything else is a failure with a name."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval_client.endpoint.chat import ChatReply
from eval_client.endpoint.replies import StreamedReply, error_message, parse_reply
from eval_client.errors import RequestError


def chunk(content: str | None = None, finish: str | None = None, **fields: Any) -> str:
    return json.dumps({"choices": [{"delta": {"content": content}, "finish_reason": finish}], **fields})


def streamed(*events: str) -> ChatReply:
    reply = StreamedReply(sent_at_s=100.0)
    for number, event in enumerate(events, start=1):
        reply.take(event, at_s=number / 10)
    return reply.finish(end_s=9.0)


def test_text_usage_and_times_of_a_stream() -> None:
    usage = json.dumps({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
    reply = streamed(chunk(""), chunk("a "), chunk("dog"), chunk(finish="stop"), usage, "[DONE]")
    assert reply.text == "a dog"
    assert reply.chunk_times_s == (0.2, 0.3)
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 3


def test_an_empty_answer_is_an_answer() -> None:
    assert streamed(chunk(""), chunk(finish="stop"), "[DONE]").text == ""


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ((chunk("a "),), "closed"),
        ((chunk("a "), "[DONE]"), "closed"),
        (('{"choices": []}', "[DONE]"), "empty"),
        (("[DONE]",), "empty"),
        ((), "closed"),
        ((chunk("a"), '{"error": {"message": "died"}}'), "error_body"),
        (("<html>",), "garbage"),
        (("[1, 2]",), "garbage"),
        (("7",), "garbage"),
        (('{"choices": [{"delta": {"content": 7}}]}',), "garbage"),
        ((chunk("a"), chunk(finish="abort"), "[DONE]"), "aborted"),
    ],
)
def test_what_is_no_answer_is_a_failure(events: tuple[str, ...], kind: str) -> None:
    with pytest.raises(RequestError) as failure:
        streamed(*events)
    assert failure.value.kind == kind


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["choices", "error", "x"]), inner),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(document=JSON)
def test_no_json_without_a_message_is_a_reply(document: Any) -> None:
    with pytest.raises(RequestError):
        parse_reply(json.dumps(document).encode(), 0.0, 1.0)


def whole(**choice: Any) -> bytes:
    message = {"role": "assistant", "content": "yes"}
    return json.dumps({"choices": [{"message": message, "finish_reason": "length", **choice}]}).encode()


def test_the_first_tokens_log_probabilities() -> None:
    top = [{"token": " yes", "logprob": -0.5}, {"token": "no", "logprob": -1.0}]
    reply = parse_reply(whole(logprobs={"content": [{**top[0], "top_logprobs": top}]}), 0.0, 1.0)
    assert reply.top_logprobs is not None
    assert [(each.token, each.logprob) for each in reply.top_logprobs] == [(" yes", -0.5), ("no", -1.0)]


def test_a_log_probability_that_is_not_a_number_is_a_failure() -> None:
    content = whole(logprobs={"content": [{"token": "yes", "logprob": float("nan")}]})
    with pytest.raises(RequestError, match="garbage"):
        parse_reply(content, 0.0, 1.0)


def test_prompt_log_probabilities_are_the_prompts_own_tokens() -> None:
    own = {"5": {"logprob": -1.5, "decoded_token": "a"}, "9": {"logprob": -0.1, "decoded_token": "b"}}
    document = json.loads(whole()) | {"prompt_logprobs": [None, own]}
    reply = parse_reply(json.dumps(document).encode(), 0.0, 1.0)
    assert reply.prompt_logprobs is not None
    assert [(each.token, each.logprob) for each in reply.prompt_logprobs] == [("a", -1.5)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"error": {"message": "too long"}}', "too long"),
        (b'{"error": "too long"}', "too long"),
        (b'{"detail": "not found"}', "not found"),
        (b"<html>\n  bad   gateway", "<html> bad gateway"),
        (b"", "no body"),
    ],
)
def test_what_an_error_body_says(content: bytes, message: str) -> None:
    assert error_message(content) == message
