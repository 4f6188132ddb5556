"""The caption tokenizer behind published CIDEr, BLEU and ROUGE figures: PTB tokens in lower case, stripped.

pycocoevalcap pipes all captions through the Java class PTBTokenizer (Stanford CoreNLP 3.4.1,
`-preserveLines -lowerCase`) and drops a list of punctuation tokens. This module gives the same tokens,
with one exception on purpose: characters that the Java reader takes for the end of a line (CR, VT, FF,
U+0085, U+2028, U+2029) shift every later caption there; here they are spaces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from eval_client.metrics.ptb.lexer import Lexer, has_two_words_in_one

# pycocoevalcap lists the brackets in upper case, the tokens are in lower case: "-lrb-" stays in captions.
STRIPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

_LINE_BREAKS = re.compile("[\n\r\u000b\u000c\u0085\u2028\u2029]")
# Besides plain words: commas before a space, and hyphens between letters.
_MARKED = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*(?:,? +[A-Za-z]+(?:-[A-Za-z]+)*)* *")


class PtbTokenizer:
    """Tokenizes captions. What it learns about the language of captions is kept: use one for many calls."""

    def __init__(self) -> None:
        self._lexer = Lexer()
        self._abbreviations: dict[str, bool] = {}

    def tokenize(self, captions: Sequence[str]) -> list[str]:
        """Tokens of each caption, joined by single spaces; "" where nothing is left.

        As in the Java tokenizer, what a caption ends in is read with the caption after it in view: the stop
        of "vitamin C." ends a sentence before "The" and belongs to the letter before "two".
        """
        lines = captions
        if _LINE_BREAKS.search("".join(captions)):
            lines = [_LINE_BREAKS.sub(" ", caption) for caption in captions]
        text = "\n".join(lines) + "\n"
        tokenized = []
        start = 0
        for line in lines:
            end = start + len(line)
            plain = self._plain(line)
            tokenized.append(self._lex(text, start, end) if plain is None else plain)
            start = end + 1
        return tokenized

    def _plain(self, line: str) -> str | None:
        """The tokens of a line that needs no lexer, as most do, else None.

        Letters, spaces and one final stop: each word is one token, unless it is split or keeps the stop.
        """
        end = line.rstrip(" ")
        body = end.removesuffix(".")
        if not body.isascii():
            return None
        if not body.replace(" ", "").isalpha():
            if _MARKED.fullmatch(body) is None:
                return None
            body = body.replace(",", "")
        tokens = body.lower()
        if "  " in tokens or tokens[0] == " " or tokens[-1] == " ":
            tokens = " ".join(tokens.split())
        if has_two_words_in_one(tokens):
            return None
        if len(body) < len(end) and self._is_abbreviation(tokens[tokens.rfind(" ") + 1 :]):
            return None
        return tokens

    def _is_abbreviation(self, word: str) -> bool:
        known = self._abbreviations.get(word)
        if known is None:
            known = self._abbreviations[word] = self._lexer.is_abbreviation(word.capitalize())
        return known

    def _lex(self, text: str, start: int, end: int) -> str:
        tokens = self._lexer.tokens(text, start, end)
        line = " ".join(tokens).lower().rstrip()
        return " ".join(token for token in line.split(" ") if token not in STRIPPED)
