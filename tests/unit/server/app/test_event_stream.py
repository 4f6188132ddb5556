"""Events pass byte for byte, however the network cuts them."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from server.app.event_stream import MAX_EVENT_BYTES, EventStream

STREAM = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
    b": keep-alive\r\n\r\n"
    b'data: {"choices": [{"delta": {"content": "say \\"error\\": {\\"usage\\": 1} [DONE]"}}]}\n\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"total_tokens":10,"completion_tokens":3}}\n\n'
    b"data: [DONE]\n\n"
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut_gives_the_same_bytes_and_facts(cuts: list[int]) -> None:
    stream = EventStream()
    edges = [0, *sorted(cuts), len(STREAM)]
    passed = [stream.feed(STREAM[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(passed) == STREAM
    assert all(piece == b"" or piece.endswith(b"\n") for piece in passed)
    assert (stream.is_done, stream.has_error) == (True, False)
    assert stream.finish_reason == "stop"
    assert (stream.usage.prompt_tokens, stream.usage.completion_tokens) == (7, 3)


def test_content_is_what_is_not_empty() -> None:
    stream = EventStream()
    seen = []
    for event in STREAM.split(b"\n\n")[:-1]:
        stream.feed(event + b"\n\n")
        seen.append(stream.has_content)
    # The keep-alive and the text are one piece here: a comment ends with its own blank line.
    assert seen == [False, True, False, False, False]


def test_an_error_event_is_noted() -> None:
    stream = EventStream()
    stream.feed(b'data: {"error": {"message": "x"}}\n\n')
    assert stream.has_error
    assert not stream.is_done


def test_a_partial_event_waits() -> None:
    stream = EventStream()
    assert stream.feed(b"data: {") == b""
    assert stream.feed(b"}\n") == b""
    assert stream.feed(b"\ndata: x") == b"data: {}\n\n"


def test_an_event_without_end_is_not_kept_for_ever() -> None:
    stream = EventStream()
    big = b"x" * (MAX_EVENT_BYTES + 1)
    assert stream.feed(big) == big
