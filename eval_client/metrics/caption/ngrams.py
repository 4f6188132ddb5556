"""Numbers for words and n-grams, so that captions are counted by sorting instead of in dictionaries.

An n-gram is identified by the number of its first n-1 words and its last word: `prefix * words + last` is
its key, and the rank of its key among those of the references is its number. N-grams that occur in no
reference get numbers above those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.signedinteger[Any]]
Floats = NDArray[np.float64]

ORDERS = (1, 2, 3, 4)

_AT_ONCE = 512  # captions whose words are held at a time: fewer lists than start the garbage collector
_WIDEST = 63  # bits of a number that is not negative


Vocabulary = defaultdict[str, int]


def vocabulary(known: Mapping[str, int] | None = None) -> Vocabulary:
    """Word to number, to begin with as in `known`; a word that is new gets the next number."""
    known = known or {}
    return defaultdict(count(len(known)).__next__, known)


@dataclass(frozen=True, slots=True)
class NumberedCaptions:
    """Captions as word numbers: all words in a row, the caption of each, the words still to come in it."""

    words: Ints
    owners: Ints
    remaining: Ints
    lengths: Ints

    def starts(self, order: int) -> Ints:
        """Where an n-gram of this order begins."""
        return np.flatnonzero(self.remaining >= order)


def number_words(captions: Sequence[str], words: Vocabulary) -> NumberedCaptions:
    """Number tokenized captions; words are what whitespace separates, no-break spaces included."""
    numbers, lengths = [], []
    for first in range(0, len(captions), _AT_ONCE):
        split = [caption.split() for caption in captions[first : first + _AT_ONCE]]
        lengths.append(np.array([len(caption) for caption in split], np.int32))
        in_order = map(words.__getitem__, chain.from_iterable(split))
        numbers.append(np.fromiter(in_order, np.int32, int(lengths[-1].sum())))
    counts = np.concatenate(lengths)
    owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    ends = np.cumsum(counts, dtype=np.int32)
    remaining = ends[owners] - np.arange(len(owners), dtype=np.int32)
    return NumberedCaptions(np.concatenate(numbers), owners, remaining, counts)


def ranked(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], Ints]:
    """The distinct keys (none negative), ascending, and the rank of each key among them.

    That is `np.unique` with its inverse; key and place are sorted as one number where both fit into 64
    bits, because numbers are sorted several times as fast as places are sorted by numbers.
    """
    place_bits = len(keys).bit_length()
    if not len(keys) or int(keys.max()).bit_length() + place_bits > _WIDEST:
        distinct, ranks = np.unique(keys, return_inverse=True)
        return distinct, np.asarray(ranks, np.int32)
    packed = keys << place_bits
    packed |= np.arange(len(keys))
    packed.sort()
    places = packed & ((1 << place_bits) - 1)
    packed >>= place_bits
    is_new = np.empty(len(keys), bool)
    is_new[0] = True
    np.not_equal(packed[1:], packed[:-1], out=is_new[1:])
    ranks = np.empty(len(keys), np.int32)
    ranks[places] = np.cumsum(is_new, dtype=np.int32) - 1
    return packed[is_new], ranks


class GramNumbers:
    """The numbers of the n-grams of the references, order by order."""

    def __init__(self) -> None:
        self._keys: dict[int, Ints] = {}
        self._words = 0

    def learn(self, captions: NumberedCaptions, order: int, shorter: Ints) -> Ints:
        """Number the n-grams of one order that begin at `captions.starts(order)`.

        `shorter` holds the number of the n-gram one word shorter at each word; of order 1, the words.
        """
        if order == 1:
            self._words = int(captions.words.max(initial=-1)) + 1
            return captions.words
        starts = captions.starts(order)
        keys = shorter[starts].astype(np.int64)
        keys *= self._words
        keys += captions.words[starts + order - 1]
        self._keys[order], numbers = ranked(keys)
        return numbers

    def known(self, order: int) -> int:
        """How many n-grams of this order the references have."""
        return self._words if order == 1 else len(self._keys[order])

    def look_up(self, captions: NumberedCaptions, order: int, shorter: Ints) -> Ints:
        """The same for candidates; what no reference has is numbered from `known(order)` up."""
        if order == 1:
            return captions.words
        starts = captions.starts(order)
        prefixes, last = shorter[starts].astype(np.int64), captions.words[starts + order - 1]
        known_keys = self._keys[order]
        numbers = np.full(len(starts), -1, np.int64)
        seen = np.flatnonzero((prefixes < self.known(order - 1)) & (last < self._words))
        if len(known_keys):
            keys = prefixes[seen] * self._words + last[seen]
            ranks = np.minimum(np.searchsorted(known_keys, keys), len(known_keys) - 1)
            hit = known_keys[ranks] == keys
            numbers[seen[hit]] = ranks[hit]
        new = np.flatnonzero(numbers < 0)
        words = int(captions.words.max(initial=0)) + 1
        _, ranks_of_new = np.unique(prefixes[new] * words + last[new], return_inverse=True)
        numbers[new] = len(known_keys) + ranks_of_new
        return numbers


def at_each_word(captions: NumberedCaptions, order: int, numbers: Ints) -> Ints:
    """`numbers` of the n-grams spread to the words at which they begin; -1 where none fits."""
    if order == 1:
        return numbers
    spread = np.full(len(captions.words), -1, np.int32)
    spread[captions.starts(order)] = numbers
    return spread
