"""Random forests over a grid: fitted, and how well they predict rows they have not seen.

Imports scikit-learn: only the importance command's function loads this module.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from bitloom.study.observations import Floats

FOLDS = 5
REPEATS = 3


def fit_forest(values: Floats, scores: Floats, *, trees: int, seed: int) -> Any:
    """A regression forest (Breiman 2001) on values [rows, features] with scikit-learn's defaults."""
    return RandomForestRegressor(n_estimators=trees, random_state=seed, n_jobs=1).fit(values, scores)


def forest_r2(values: Floats, scores: Floats, *, trees: int, seed: int) -> float:
    """Cross-validated R2 of the forest; see `_pooled_r2`."""
    return _pooled_r2(
        RandomForestRegressor(n_estimators=trees, random_state=seed, n_jobs=1), values, scores, seed
    )


def linear_r2(values: Floats, scores: Floats, *, seed: int) -> float:
    """Cross-validated R2 of a linear model of the values as they are."""
    return _pooled_r2(LinearRegression(), values, scores, seed)


def _pooled_r2(model: Any, values: Floats, scores: Floats, seed: int) -> float:
    """1 - (squared errors / squared deviations) over all held-out rows of 5 folds, averaged over 3 shuffles.

    Pooled over folds, because the R2 of a single fold of a small grid is mostly its own mean. Negative where
    the mean of the scores would have predicted better.
    """
    total = float(np.sum((scores - scores.mean()) ** 2))
    found = []
    for repeat in range(REPEATS):
        squared = 0.0
        for train, test in KFold(FOLDS, shuffle=True, random_state=seed + repeat).split(values):
            predicted = model.fit(values[train], scores[train]).predict(values[test])
            squared += float(np.sum((scores[test] - predicted) ** 2))
        found.append(1.0 - squared / total)
    return float(np.mean(found))
