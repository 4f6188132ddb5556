"""Server-sent events: the same events however the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval_client.endpoint.sse import EventParser
from eval_client.errors import RequestError

LINES = st.text(st.characters(codec="utf-8", blacklist_characters="\r\n"), max_size=12)
EVENTS = st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=6)


def parse(chunks: list[bytes]) -> list[str]:
    parser = EventParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(events=EVENTS, ending=st.sampled_from(["\n", "\r\n", "\r"]), data=st.data())
def test_any_division_gives_the_events_that_were_sent(
    events: list[list[str]], ending: str, data: st.DataObject
) -> None:
    parts = []
    for lines in events:
        parts += [": keep-alive", *(f"data: {line}" for line in lines), ""]
    stream = "".join(part + ending for part in [*parts, ": end"]).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(edges)]
    assert parse(chunks) == ["\n".join(lines) for lines in events]


def test_one_space_after_the_colon_is_no_part_of_the_value() -> None:
    assert parse([b"data:a\n\ndata:  b\n\n"]) == ["a", " b"]


def test_fields_other_than_data_are_passed_over() -> None:
    assert parse([b"event: x\nid: 7\nretry: 5\n\n: only a comment\n\n"]) == []


def test_a_byte_order_mark_at_the_start_is_no_part_of_the_name() -> None:
    assert parse([b"\xef\xbb\xbfdata: a\n\n"]) == ["a"]


def test_what_is_torn_is_no_event() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\n\ndata: b\n") == ["a"]
    assert parser.is_inside_event


def test_bytes_that_are_no_utf8_are_a_failure() -> None:
    with pytest.raises(RequestError, match="not UTF-8"):
        parse([b"data: \xff\n\n"])
