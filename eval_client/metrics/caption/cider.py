"""CIDEr-D (Vedantam, Zitnick and Parikh 2015, arXiv 1411.5726) as pycocoevalcap computes it.

For candidate c, reference r and order n, with tf-idf vectors g (idf over images, from references only),

    sim_n(c, r) = sum_k min(g_k(c), g_k(r)) g_k(r) / (|g(c)| |g(r)|) * exp(-(l(c) - l(r))^2 / (2 sigma^2))

with sigma = 6 and l the number of *bigrams*. The score is 10 times the mean over orders and references.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval_client.metrics.caption.ngrams import Floats, Ints
from eval_client.metrics.caption.overlap import Overlap
from eval_client.metrics.caption.references import ReferenceIndex

SIGMA = 6.0


def cider_d(
    references: ReferenceIndex, overlaps: Sequence[Overlap], images: Ints, candidate_lengths: Ints
) -> Floats:
    """CIDEr-D of each candidate; `candidate_lengths` in words, candidate i is of image `images[i]`."""
    candidate_of_image = np.full(references.images, -1, np.int64)
    candidate_of_image[images] = np.arange(len(images))
    candidate_of = candidate_of_image[references.image_of]  # of each reference
    scored = candidate_of >= 0
    total = np.zeros(len(references.lengths))
    for overlap in overlaps:
        total += _cosines(references, overlap, images, candidate_of)
    bigrams = np.maximum(0, references.lengths - 1)
    distance = np.maximum(0, candidate_lengths - 1)[candidate_of[scored]] - bigrams[scored]
    similarity = total[scored] * np.e ** (-(distance.astype(np.float64) ** 2) / (2 * SIGMA**2))
    sums = np.bincount(candidate_of[scored], similarity, minlength=len(images))
    return sums / len(overlaps) / references.counts[images] * 10.0


def _cosines(references: ReferenceIndex, overlap: Overlap, images: Ints, candidate_of: Ints) -> Floats:
    """The clipped cosine of each reference with its image's candidate, for one order."""
    index = overlap.index
    rows, entries = overlap.entries()
    of_gram = index.inverse_frequency[index.group_grams[overlap.groups]]
    candidate = (overlap.counts * of_gram)[rows]
    reference = index.entry_counts[entries] * of_gram[rows]
    products = np.minimum(candidate, reference) * reference
    owners = references.first[images[overlap.candidates]][rows] + index.entry_places[entries]
    dots = np.bincount(owners, products, minlength=len(candidate_of))
    lengths = overlap.norms[candidate_of] * index.norms
    # A new array: numpy counts nothing in integers, whatever the weights.
    return np.divide(dots, lengths, out=np.zeros(len(dots)), where=lengths != 0)
