from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_client.metrics.ptb_tokenizer import STRIPPED, PtbTokenizer

TOKENIZER = PtbTokenizer()

# Each pair was made with the Java tokenizer that pycocoevalcap 1.2 runs.
KNOWN = [
    ("A man riding a wave.", "a man riding a wave"),
    ("  two   dogs , one cat  ", "two dogs one cat"),
    ("a dog's bowl isn't here", "a dog 's bowl is n't here"),
    ("can't cannot gonna wanna", "ca n't can not gon na wan na"),
    ("twin-hulled boat, close-up.", "twin-hulled boat close-up"),
    ("a man at Acme Inc. today", "a man at acme inc. today"),
    ("main st. and 5th ave.", "main st. and 5th ave."),
    ("made in the U.S.", "made in the u.s."),
    ("zte (letters--no numbers)", "zte -lrb- letters no numbers -rrb-"),
    ("{]}\\|", "-lcb- -rsb- -rcb- \\ |"),
    ("π(q²)/q²", "π -lrb- q ² -rrb- / q ²"),
    ("this is (408) 555-1234 and 1 1/2", "this is -lrb-408-rrb-\u00a0555-1234 and 1\u00a01/2"),
    ('emoji 😀 here "quoted" :-)', "emoji here quoted :--rrb-"),
    ("$5 £6 € ½ a_b @joe #tag", "$ 5 # 6 $ 1/2 a_b @joe #tag"),
    ('x < y and <a href="b"> <b>', 'x < y and <a\u00a0href="b"> <b>'),
    ("o'clock rock 'n' roll '90s d’lA", "o'clock rock 'n' roll '90s d’la"),
    ("www.youtube.com http://a.b/c?d=1", "www.youtube.com http://a.b/c?d=1"),
    ("", ""),
    ("...", ""),
    ("\u00ad", ""),
]


def test_golden_lines(conformance: Path) -> None:
    with gzip.open(
        conformance / "expected/ptb_tokenizer_golden.tsv.gz", "rt", encoding="utf-8", newline="\n"
    ) as file:
        pairs = [line.rstrip("\n").split("\t") for line in file]
    tokenized = PtbTokenizer().tokenize([caption for caption, _ in pairs])
    wrong = [(pair, ours) for pair, ours in zip(pairs, tokenized, strict=True) if pair[1] != ours]
    assert len(pairs) > 12_000
    assert wrong == []


@pytest.mark.parametrize(("caption", "tokens"), KNOWN)
def test_known_captions(caption: str, tokens: str) -> None:
    assert TOKENIZER.tokenize([caption]) == [tokens]


def test_the_next_caption_decides_whether_a_stop_ends_the_sentence() -> None:
    captions = ["a bottle of vitamin C.", "The end", "a bottle of vitamin C.", "two men"]
    assert TOKENIZER.tokenize(captions) == [
        "a bottle of vitamin c",
        "the end",
        "a bottle of vitamin c.",
        "two men",
    ]


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\u000b", "\u000c", "\u0085", "\u2028", "\u2029"])
def test_line_breaks_shift_no_caption(line_break: str) -> None:
    captions = [f"a dog{line_break}on a bed", "a cat"]
    assert TOKENIZER.tokenize(captions) == ["a dog on a bed", "a cat"]


def test_a_tag_over_two_captions_swallows_nothing() -> None:
    assert TOKENIZER.tokenize(["see <a href='x", "y'> here"])[1].endswith("here")


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_text_gives_a_line_a_caption(captions: list[str]) -> None:
    tokenized = TOKENIZER.tokenize(captions)
    assert len(tokenized) == len(captions)
    assert not any("\n" in line for line in tokenized)
    assert STRIPPED.isdisjoint(token for line in tokenized for token in line.split(" "))


_WORDS = ["a", "The", "dog", "mr.", "etc.", "U.S.", "cannot", "twin-hulled", "dog,", "end.", "I.", "it's"]


@given(st.lists(st.sampled_from(_WORDS)))
def test_the_short_way_for_plain_captions_is_the_lexer(words: list[str]) -> None:
    caption = " ".join(words)
    by_lexer = TOKENIZER._lex(caption + "\n", 0, len(caption))
    assert TOKENIZER.tokenize([caption]) == [by_lexer]


@given(st.from_regex(r"[A-Za-z ,.-]{0,30}", fullmatch=True))
def test_the_short_way_is_the_lexer_for_letters_and_marks(caption: str) -> None:
    assert TOKENIZER.tokenize([caption]) == [TOKENIZER._lex(caption + "\n", 0, len(caption))]
