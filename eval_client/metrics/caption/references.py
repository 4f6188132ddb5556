"""Reference captions, indexed once and used for every run that is scored against them.

For each order the index holds, sorted by image and n-gram, how often which reference has the n-gram.
A *group* is one n-gram in one image; its entries are the references of that image that have it. What can
be counted in bytes is kept in bytes: 40,000 images have some ten million n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval_client.metrics.caption.ngrams import (
    ORDERS,
    Floats,
    GramNumbers,
    Ints,
    NumberedCaptions,
    Vocabulary,
    at_each_word,
    number_words,
    vocabulary,
)

Counts = NDArray[Any]  # unsigned integers of the smallest size that holds them


@dataclass(frozen=True, slots=True)
class OrderIndex:
    """The n-grams of one order in the references: G n-grams, U groups, E entries, R references, N images."""

    inverse_frequency: Floats  # (G,): log(images) - log(images that have the n-gram)
    norms: Floats  # (R,): Euclidean length of each reference's tf-idf vector
    image_groups: Ints  # (N,): how many groups each image has
    group_grams: Ints  # (U,): ascending within an image
    group_sizes: Counts  # (U,): how many references have the n-gram
    group_most: Counts  # (U,): the count of the reference that has it most often
    entry_places: Counts  # (E,): which of the image's references, from 0
    entry_counts: Counts  # (E,): how often that reference has the n-gram

    @property
    def grams(self) -> int:
        """G, the number of n-grams of this order."""
        return len(self.inverse_frequency)

    @property
    def gram_bits(self) -> int:
        """Bits that hold any n-gram's number."""
        return self.grams.bit_length()

    def group_keys(self) -> NDArray[np.int64]:
        """Each group's image and n-gram in one number (`gram_bits` for the n-gram), ascending."""
        keys = np.repeat(np.arange(len(self.image_groups)), self.image_groups)
        keys <<= self.gram_bits
        keys |= self.group_grams
        return keys


class ReferenceIndex:
    """References of `images` images: the n-gram numbers, the index of each order, lengths in words."""

    def __init__(self, references: Sequence[Sequence[str]]) -> None:
        """Index tokenized `references`, a sequence for each image; every image has at least one."""
        counts = np.array([len(captions) for captions in references], np.int32)
        flat = [caption for captions in references for caption in captions]
        self._vocabulary = vocabulary()
        self.images = len(references)
        self.image_of: Ints = np.repeat(np.arange(self.images, dtype=np.int32), counts)
        self.counts: Ints = counts
        self.first: Ints = (np.cumsum(counts) - counts).astype(np.int32)
        captions = number_words(flat, self._vocabulary)
        self.lengths: Ints = captions.lengths
        self.numbers = GramNumbers()
        self.orders: dict[int, OrderIndex] = {}
        shorter = captions.words
        for order in ORDERS:
            grams = self.numbers.learn(captions, order, shorter)
            self.orders[order] = self._index(captions.owners[captions.starts(order)], grams, order)
            shorter = at_each_word(captions, order, grams)

    def number_candidates(self, candidates: Sequence[str]) -> NumberedCaptions:
        """Number tokenized candidates; words that no reference has are numbered above the others."""
        known: Vocabulary = vocabulary(self._vocabulary)
        return number_words(candidates, known)

    def _index(self, owners: Ints, grams: Ints, order: int) -> OrderIndex:
        known = self.numbers.known(order)
        place_bits = int(self.counts.max()).bit_length()
        entries, entry_counts = self._entries(owners, grams, known.bit_length(), place_bits)
        places = _small(entries & ((1 << place_bits) - 1))
        entries >>= place_bits  # from here on, the key of each entry's group
        starts = _run_starts(entries)
        sizes = np.diff(starts, append=len(entries))
        group_keys = entries[starts]
        images = group_keys >> known.bit_length()
        group_grams = group_keys & ((1 << known.bit_length()) - 1)
        frequency = np.bincount(group_grams, minlength=known)
        inverse_frequency = np.log(float(self.images)) - np.log(np.maximum(1.0, frequency))
        references = np.repeat(self.first[images], sizes) + places
        weights = np.repeat(inverse_frequency[group_grams], sizes) * entry_counts
        squares = np.bincount(references, weights * weights, minlength=len(self.lengths))
        most = np.maximum.reduceat(entry_counts, starts) if len(starts) else entry_counts
        return OrderIndex(
            inverse_frequency=inverse_frequency,
            norms=np.sqrt(squares),
            image_groups=np.bincount(images, minlength=self.images),
            group_grams=group_grams.astype(np.int32),
            group_sizes=_small(sizes),
            group_most=most,
            entry_places=places,
            entry_counts=entry_counts,
        )

    def _entries(
        self, owners: Ints, grams: Ints, gram_bits: int, place_bits: int
    ) -> tuple[NDArray[np.int64], Counts]:
        """Image, n-gram and place of each entry in one number, ascending, and the entry's count."""
        images = self.image_of[owners]
        keys = images.astype(np.int64)
        keys <<= gram_bits
        keys |= grams
        keys <<= place_bits
        keys |= owners - self.first[images]
        keys.sort()
        starts = _run_starts(keys)
        return keys[starts], _small(np.diff(starts, append=len(keys)))


def _small(values: Ints) -> Counts:
    """The same numbers in as few bytes each as hold the largest."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


def _run_starts(ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each run of equal values begins."""
    if not len(ascending):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.concatenate(([True], ascending[1:] != ascending[:-1])))
