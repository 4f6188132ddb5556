"""Streamed text: never taken back, whole characters, ended by stop strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.workers.transformers_worker.text import TextStream


class ByteTokenizer:
    """A token is a byte."""

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return bytes(ids).decode(errors="replace")


class SpacingTokenizer:
    """A token is a word; words after the first get a space, as SentencePiece does it."""

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return " ".join(f"w{each}" for each in ids)


def streamed(text: bytes, *stops: str) -> list[str]:
    stream = TextStream(ByteTokenizer(), stops)
    pieces = []
    for byte in text:
        pieces.append(stream.push(byte))
        if stream.is_stopped:
            break
    return [*pieces, stream.finish()]


@given(st.text(max_size=40))
def test_the_pieces_are_the_text(text: str) -> None:
    assert "".join(streamed(text.encode())) == text


@given(st.text(alphabet="abß", max_size=30), st.lists(st.text("abß", min_size=1, max_size=4), max_size=3))
def test_the_text_ends_before_the_first_stop_string(text: str, stops: list[str]) -> None:
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    # A longer stop string may begin earlier than a shorter one that is complete first.
    complete = min((text.find(stop) + len(stop) for stop in stops if stop in text), default=len(text))
    seen = text[:complete]
    expected = min((seen.find(stop) for stop in stops if stop in seen), default=len(text))
    assert "".join(streamed(text.encode(), *stops)) == text[:expected]
    assert bool(ends) == (expected < len(text) or any(text.startswith(stop) for stop in stops))


def test_half_a_character_is_held_back() -> None:
    assert streamed("aß".encode()) == ["a", "", "ß", ""]


def test_half_a_character_at_the_end_is_shown_as_such() -> None:
    assert streamed("aß".encode()[:-1]) == ["a", "", "�"]


def test_what_may_begin_a_stop_string_is_held_back_until_it_does_not() -> None:
    assert streamed(b"a\nb", "\n\n") == ["a", "", "\nb", ""]


def test_text_that_depends_on_the_token_before_keeps_its_space() -> None:
    stream = TextStream(SpacingTokenizer(), ())
    assert [stream.push(each) for each in (1, 2, 3)] == ["w1", " w2", " w3"]


@pytest.mark.parametrize("stop", ["b", "bc", "abc"])
def test_nothing_comes_after_a_stop(stop: str) -> None:
    stream = TextStream(ByteTokenizer(), (stop,))
    text = "".join(stream.push(byte) for byte in b"abc")
    assert stream.is_stopped
    assert text + stream.finish() == "abc"[: "abc".index(stop)]
