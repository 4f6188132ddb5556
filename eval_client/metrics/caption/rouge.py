"""ROUGE-L (Lin 2004) as pycocoevalcap computes it: beta 1.2, and the highest precision and the highest
recall over the references taken separately, so that they may come from different references.
"""

from __future__ import annotations

from collections.abc import Sequence

BETA = 1.2


def rouge_l(candidate: str, references: Sequence[str]) -> float:
    """ROUGE-L of a tokenized candidate; tokens are what single spaces separate, "" is one empty token."""
    tokens = candidate.split(" ")
    masks: dict[str, int] = {}
    for place, token in enumerate(tokens):
        masks[token] = masks.get(token, 0) | 1 << place
    precision = recall = 0.0
    for reference in references:
        other = reference.split(" ")
        common = _common_subsequence(masks, len(tokens), other)
        precision = max(precision, common / len(tokens))
        recall = max(recall, common / len(other))
    if not (precision and recall):
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _common_subsequence(masks: dict[str, int], length: int, other: Sequence[str]) -> int:
    """Length of the longest common subsequence, all places of one sequence at once.

    Bit i of `row` is 0 where the dynamic programme's row grows at place i (Hyyrö 2004).
    """
    full = (1 << length) - 1
    row = full
    for token in other:
        matches = row & masks.get(token, 0)
        row = ((row + matches) | (row - matches)) & full
    return length - row.bit_count()
