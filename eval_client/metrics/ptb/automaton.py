"""A finite automaton over several patterns that is made deterministic as text asks for it.

Thompson's construction gives the nondeterministic automaton. A deterministic state is the set of its
states that a prefix can be in; states and their transitions are computed when a text first reaches them
and kept, so that a second visit costs one dictionary look-up a character.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field

from eval_client.metrics.ptb.charsets import CharSet
from eval_client.metrics.ptb.patterns import Choice, Pattern, Repeat, Sequence

NO_RULE = -1


@dataclass(slots=True, eq=False)
class State:
    """A deterministic state; `rule` is the first pattern that matches what led here, or NO_RULE."""

    members: tuple[int, ...]
    rule: int
    following: dict[str, State | None] = field(default_factory=dict)


class Automaton:
    """Recognizes patterns, each with its index in the sequence given; the lower index wins a tie."""

    def __init__(self, patterns: SequenceOf[Pattern]) -> None:
        self._empty_moves: list[list[int]] = []
        self._char_moves: list[tuple[int, int] | None] = []  # (character set, target)
        self._rule_of: dict[int, int] = {}
        self._set_ids: dict[CharSet, int] = {}
        self._masks: dict[str, int] = {}
        self._states: dict[frozenset[int], State | None] = {frozenset(): None}
        first = self._node()
        for rule, pattern in enumerate(patterns):
            entry, end = self._node(), self._node()
            self._connect(pattern, entry, end)
            self._empty_moves[first].append(entry)
            self._rule_of[end] = rule
        start = self._state({first})
        assert start is not None
        self.start: State = start

    def step(self, state: State, char: str) -> State | None:
        """The state after `char`, or None where no pattern can match any more; remembered in `state`."""
        mask = self._mask(char)
        targets = set()
        for member in state.members:
            move = self._char_moves[member]
            if move is not None and mask >> move[0] & 1:
                targets.add(move[1])
        following = state.following[char] = self._state(targets)
        return following

    def match_ends(self, text: str, start: int, end: int) -> list[int]:
        """All positions up to `end` where a match that begins at `start` can end, ascending."""
        ends = []
        state: State | None = self.start
        for position in range(start, end + 1):
            if state is None:
                break
            if state.rule != NO_RULE:
                ends.append(position)
            if position < end:
                char = text[position]
                state = state.following[char] if char in state.following else self.step(state, char)
        return ends

    def _node(self) -> int:
        self._empty_moves.append([])
        self._char_moves.append(None)
        return len(self._empty_moves) - 1

    def _connect(self, pattern: Pattern, entry: int, end: int) -> None:
        """Add nodes and moves so that `pattern` leads from `entry` to `end`."""
        if isinstance(pattern, CharSet):
            set_id = self._set_ids.setdefault(pattern, len(self._set_ids))
            node = self._node()
            self._empty_moves[entry].append(node)
            self._char_moves[node] = (set_id, end)
        elif isinstance(pattern, Choice):
            for option in pattern.options:
                self._connect(option, entry, end)
        elif isinstance(pattern, Sequence):
            for part in pattern.parts:
                following = self._node()
                self._connect(part, entry, following)
                entry = following
            self._empty_moves[entry].append(end)
        else:
            self._connect_repeat(pattern, entry, end)

    def _connect_repeat(self, pattern: Repeat, entry: int, end: int) -> None:
        for _ in range(pattern.least):
            following = self._node()
            self._connect(pattern.body, entry, following)
            entry = following
        if pattern.most is None:
            loop = self._node()
            self._empty_moves[entry].append(loop)
            self._connect(pattern.body, loop, loop)
            entry = loop
        else:
            for _ in range(pattern.most - pattern.least):
                self._empty_moves[entry].append(end)
                following = self._node()
                self._connect(pattern.body, entry, following)
                entry = following
        self._empty_moves[entry].append(end)

    def _mask(self, char: str) -> int:
        """The sets that hold `char`, a bit each."""
        mask = self._masks.get(char)
        if mask is None:
            mask = sum(1 << set_id for chars, set_id in self._set_ids.items() if chars.contains(char))
            self._masks[char] = mask
        return mask

    def _state(self, targets: set[int]) -> State | None:
        key = frozenset(targets)
        if key not in self._states:
            reached = set(targets)
            waiting = list(targets)
            while waiting:
                for following in self._empty_moves[waiting.pop()]:
                    if following not in reached:
                        reached.add(following)
                        waiting.append(following)
            members = tuple(node for node in reached if self._char_moves[node] is not None)
            rule = min((self._rule_of[node] for node in reached if node in self._rule_of), default=NO_RULE)
            self._states[key] = State(members, rule)
        return self._states[key]
