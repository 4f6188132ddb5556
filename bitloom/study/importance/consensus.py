"""Consensus importance as arXiv 2601.15287 has it: three views of one forest, each summing to 1, averaged.

impurity      total decrease of squared error at the splits on a feature (Breiman 2001)
permutation   loss of R2 when the feature's column is shuffled
shap          mean |SHAP| of the feature over the rows (TreeSHAP, Lundberg et al. 2020)
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.inspection import permutation_importance

from bitloom.study.importance.forest import fit_forest
from bitloom.study.observations import Floats

SHUFFLES = 5
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Consensus:
    """Shares [features], each array summing to 1; `shares` is the mean of the three others."""

    shares: Floats
    impurity: Floats
    permutation: Floats
    shap: Floats


def consensus_of(forest: Any, values: Floats, scores: Floats, *, seed: int) -> Consensus:
    """The consensus of a fitted forest on the rows it was fitted on, as the paper has it."""
    shuffled = permutation_importance(forest, values, scores, n_repeats=SHUFFLES, random_state=seed)
    impurity = _shares(forest.feature_importances_)
    permutation = _shares(np.maximum(shuffled.importances_mean, 0.0))
    shap = _shares(np.abs(_shap_values(forest, values)).mean(axis=0))
    return Consensus((impurity + permutation + shap) / 3.0, impurity, permutation, shap)


def bootstrap_intervals(
    values: Floats, scores: Floats, *, trees: int, resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """95 % percentile interval of each share, low and high [features], over resampled rows.

    Each resample has a forest and a consensus of its own, so the interval holds the forest's randomness too.
    """
    generator = np.random.default_rng(seed)
    drawn = []
    for resample in range(resamples):
        rows = generator.integers(0, len(scores), len(scores))
        forest = fit_forest(values[rows], scores[rows], trees=trees, seed=seed + resample)
        drawn.append(consensus_of(forest, values[rows], scores[rows], seed=seed + resample).shares)
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(np.array(drawn), [tail, 1.0 - tail], axis=0)
    return low, high


def _shap_values(forest: Any, values: Floats) -> Floats:
    with warnings.catch_warnings():
        # shap sets up colour maps when imported, in a way that matplotlib is about to give up.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        from shap import TreeExplainer
    return np.asarray(TreeExplainer(forest).shap_values(values), dtype=np.float64)


def _shares(importances: Floats) -> Floats:
    """Scaled to sum 1; a view in which nothing matters favours none."""
    total = float(importances.sum())
    if total <= 0.0:
        return np.full(len(importances), 1.0 / len(importances))
    return np.asarray(importances / total, dtype=np.float64)
