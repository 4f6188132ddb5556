"""The lexer: the longest match at each position, over all rules."""

from __future__ import annotations

import re
from functools import cached_property

from eval_client.metrics.ptb.automaton import NO_RULE, Automaton, State
from eval_client.metrics.ptb.patterns import Sequence, parse
from eval_client.metrics.ptb.rules import RULES, Rule, named_patterns

# Words of plain letters before a space: no rule reads on past them, so that each is one token.
_WORDS = re.compile(r" *(?:[A-Za-z]+ +)*")


_TWO_WORDS = frozenset(["cannot", "gonna", "wanna", "gotta", "lemme", "gimme"])


def has_two_words_in_one(text: str) -> bool:
    """Whether a word of the text, in lower case and without punctuation, is two tokens."""
    is_possible = "nn" in text or "otta" in text or "mme" in text
    return is_possible and not _TWO_WORDS.isdisjoint(text.split())


class Lexer:
    """Splits text into Penn Treebank tokens. It learns transitions as it reads: build one and keep it."""

    def __init__(self) -> None:
        names = named_patterns()
        self._names = names
        patterns = []
        for rule in RULES:
            pattern = parse(rule.pattern, names)
            if rule.followed_by:
                pattern = Sequence((pattern, parse(rule.followed_by, names)))
            patterns.append(pattern)
        self._automaton = Automaton(patterns)
        self._parts: dict[str, tuple[Automaton, Automaton]] = {}

    @cached_property
    def _abbreviation(self) -> Automaton:
        source = "{INNER_ABBREVIATION}|{LEADING_ABBREVIATION}"
        return Automaton([parse(source, self._names)])

    def is_abbreviation(self, word: str) -> bool:
        """Whether `word` keeps a full stop that follows it."""
        return bool(self._abbreviation.match_ends(word + ".", 0, len(word) + 1)[-1:] == [len(word) + 1])

    def tokens(self, text: str, start: int, end: int) -> list[str]:
        """Tokens of `text[start:end]`; what follows `end` is seen only as what follows a token."""
        found: list[str] = []
        while start < end:
            words = _WORDS.match(text, start, end)
            if words and words.end() > start and not has_two_words_in_one(words[0].lower()):
                found += words[0].split()
                start = words.end()
                continue
            rule, stop = self._match(text, start, len(text))
            if stop > end:
                rule, stop = self._match(text, start, end)
            token = rule.normalize(text[start:stop])
            start = stop - rule.give_back
            if token is not None:
                found.append(token)
        return found

    def _match(self, text: str, start: int, limit: int) -> tuple[Rule, int]:
        """The rule that wins at `start` and the end of its match without what must follow."""
        state: State = self._automaton.start
        winner, end = NO_RULE, start
        for position in range(start, limit):
            char = text[position]
            following = (
                state.following[char] if char in state.following else self._automaton.step(state, char)
            )
            if following is None:
                break
            state = following
            if state.rule != NO_RULE:
                winner, end = state.rule, position + 1
        if winner == NO_RULE:  # a line feed inside a caption cannot occur: callers replace it
            raise ValueError(f"no rule matches {text[start : start + 20]!r}")
        rule = RULES[winner]
        if rule.followed_by:
            end = self._end_before_context(rule, text, start, end)
        return rule, end

    def _end_before_context(self, rule: Rule, text: str, start: int, end: int) -> int:
        """The latest end of the rule's own pattern such that the rest up to `end` is what must follow."""
        if rule.name not in self._parts:
            own, context = (parse(source, self._names) for source in (rule.pattern, rule.followed_by))
            self._parts[rule.name] = Automaton([own]), Automaton([context])
        own_part, context_part = self._parts[rule.name]
        for split in reversed(own_part.match_ends(text, start, end)):
            if context_part.match_ends(text, split, end)[-1:] == [end]:
                return split
        raise AssertionError(f"rule {rule.name!r} matched, its parts do not")
