"""What candidates share with the references: the n-grams of one order, counted and matched to groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from eval_client.metrics.caption.ngrams import ORDERS, Floats, Ints, NumberedCaptions, at_each_word
from eval_client.metrics.caption.references import OrderIndex, ReferenceIndex


@dataclass(frozen=True, slots=True)
class Overlap:
    """N-grams of one order that a candidate shares with a reference of its image.

    `candidates`, `groups` and `counts` run over those n-grams: whose they are, the group in the index
    (`OrderIndex`), how often the candidate has them. `norms` is of every candidate, its other n-grams
    included: the length of its tf-idf vector.
    """

    index: OrderIndex
    candidates: Ints
    groups: Ints
    counts: Ints
    norms: Floats

    def entries(self) -> tuple[Ints, Ints]:
        """Every pair of a shared n-gram and a reference that has it: (row in this overlap, entry)."""
        all_sizes = self.index.group_sizes
        first = (np.cumsum(all_sizes, dtype=np.int64) - all_sizes)[self.groups]
        sizes = all_sizes[self.groups].astype(np.int64)
        rows = np.repeat(np.arange(len(self.groups)), sizes)
        offset_in_group = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return rows, first[rows] + offset_in_group


def overlaps(references: ReferenceIndex, captions: NumberedCaptions, images: Ints) -> Iterator[Overlap]:
    """The overlap of each order; candidate i of `captions` is of image `images[i]`."""
    shorter = captions.words
    for order in ORDERS:
        grams = references.numbers.look_up(captions, order, shorter)
        owners = captions.owners[captions.starts(order)]
        yield _overlap(references, references.orders[order], owners, grams, images)
        shorter = at_each_word(captions, order, grams)


def _overlap(
    references: ReferenceIndex, index: OrderIndex, owners: Ints, grams: Ints, images: Ints
) -> Overlap:
    width = int(grams.max(initial=0)) + 1
    keys, counts = np.unique(owners.astype(np.int64) * width + grams, return_counts=True)
    candidates, numbers = np.divmod(keys, width)
    known = numbers < index.grams
    weights = np.full(len(numbers), np.log(float(references.images)))
    weights[known] = index.inverse_frequency[numbers[known]]
    weights *= counts
    norms = np.sqrt(np.bincount(candidates, weights * weights, minlength=len(images)))
    rows, groups = _groups(index, images[candidates], numbers, known)
    return Overlap(index, candidates[rows], groups, counts[rows], norms)


def _groups(index: OrderIndex, images: Ints, numbers: Ints, known: Ints) -> tuple[Ints, Ints]:
    """Which n-grams a reference of their image has, and the groups of those."""
    group_keys = index.group_keys()
    rows = np.flatnonzero(known)
    if not len(group_keys) or not len(rows):
        return rows[:0], rows[:0]
    keys = images[rows].astype(np.int64) << index.gram_bits | numbers[rows]
    groups = np.searchsorted(group_keys, keys)
    hit = group_keys[np.minimum(groups, len(group_keys) - 1)] == keys
    return rows[hit], groups[hit]
