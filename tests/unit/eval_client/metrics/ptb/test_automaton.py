"""The automaton against Python's `re`, which agrees on whole strings."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_client.metrics.ptb.automaton import NO_RULE, Automaton
from eval_client.metrics.ptb.charsets import caseless, is_digit, is_letter, is_uppercase
from eval_client.metrics.ptb.patterns import parse

_ATOMS = st.sampled_from(["1", "2", "[12]", "[^1]", "[1-3]"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@given(_PATTERNS, st.text("123", max_size=6))
def test_match_ends_are_those_of_re(source: str, text: str) -> None:
    ends = Automaton([parse(source, {})]).match_ends(text, 0, len(text))
    assert ends == [end for end in range(len(text) + 1) if re.fullmatch(source, text[:end])]


def test_the_first_of_several_rules_that_match_wins() -> None:
    automaton = Automaton([parse("ab", {}), parse("[a-z]+", {})])
    after_a = automaton.step(automaton.start, "a")
    assert after_a is not None
    after_ab = automaton.step(after_a, "b")
    assert after_ab is not None
    assert (automaton.start.rule, after_a.rule, after_ab.rule) == (NO_RULE, 1, 0)
    assert automaton.step(after_ab, "1") is None


def test_names_and_character_classes() -> None:
    names = {"NAME": parse("x|[{digit}_]", {})}
    ends = Automaton([parse("({NAME}){2}{uppercase}", names)]).match_ends("X7Q", 0, 3)
    assert ends == [3]


@pytest.mark.parametrize("source", ["(a", "a)", "[a", "{1,2", "a\\"])
def test_malformed_patterns_are_refused(source: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        parse(source, {})


def test_literals_ignore_case_and_classes_do_not() -> None:
    assert caseless("k").contains("\u212a")
    assert caseless("s").contains("ſ")
    assert not parse("[k]", {}).contains("K")  # type: ignore[union-attr]


def test_characters_that_unicode_assigned_later_are_unknown() -> None:
    assert is_letter("é")
    assert not is_letter("\u1c90")  # Georgian capital, Unicode 11
    assert not is_letter("\U0001d400")  # above U+FFFF
    assert is_digit("\u0660")
    assert not is_digit("²")
    assert is_uppercase("Ⓐ")
    assert not is_uppercase("\u13a0")  # Cherokee had no case then
