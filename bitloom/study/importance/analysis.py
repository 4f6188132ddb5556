"""From observations to the importance report: skill first, then the ranking, then where it stops to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitloom.errors import DataError
from bitloom.study.importance.consensus import Consensus, bootstrap_intervals, consensus_of
from bitloom.study.importance.flags import flags_of, refusal_of
from bitloom.study.importance.forest import fit_forest, forest_r2, linear_r2
from bitloom.study.importance.interactions import Interaction, pairwise
from bitloom.study.importance.report import ImportanceReport, Interval, Measures, PairStrength, Part
from bitloom.study.importance.restrict import restrictions
from bitloom.study.observations import Floats, Observations, require_rows


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is computed: trees of the ranking forest and of every other one, bootstrap resamples."""

    trees: int = 300
    small_trees: int = 60
    resamples: int = 50
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Analysis:
    """The report, and the dependence tables behind its interactions, for plots."""

    report: ImportanceReport
    interactions: tuple[Interaction, ...]


@dataclass(frozen=True, slots=True)
class _Ranking:
    consensus: Consensus
    intervals: dict[str, Interval]
    interactions: tuple[Interaction, ...]


def analyse(observations: Observations, effort: Effort) -> Analysis:
    """Importance of each feature, with intervals, skill, interactions and parts without the lowest bits.

    Raises DataError where there are fewer rows than the features need.
    """
    require_rows("results", observations)
    values, scores, features = observations.values, observations.scores, observations.features
    r2 = forest_r2(values, scores, trees=effort.small_trees, seed=effort.seed)
    linear = linear_r2(values, scores, seed=effort.seed)
    refusal = refusal_of("the whole grid", r2)
    ranking = _rank(observations, effort) if refusal is None else None
    restricted = {name: _part(name, part, effort) for name, part in restrictions(observations)}
    consensus = _named(features, ranking.consensus.shares) if ranking else None
    interactions = ranking.interactions if ranking else ()
    report = ImportanceReport(
        score=observations.score,
        features=features,
        rows=len(observations),
        failed=observations.failed,
        r2=r2,
        linear_r2=linear,
        consensus=consensus,
        intervals=ranking.intervals if ranking else None,
        measures=_measures(features, ranking.consensus) if ranking else None,
        interactions=tuple(_strength(features, each) for each in interactions),
        restricted=restricted,
        refusal=refusal,
        flags=tuple(flags_of(linear, consensus, restricted)),
        categories=dict(observations.categories),
    )
    return Analysis(report, interactions)


def _rank(observations: Observations, effort: Effort) -> _Ranking:
    values, scores, seed = observations.values, observations.scores, effort.seed
    forest = fit_forest(values, scores, trees=effort.trees, seed=seed)
    low, high = bootstrap_intervals(
        values, scores, trees=effort.small_trees, resamples=effort.resamples, seed=seed
    )
    pairs = zip(observations.features, low.tolist(), high.tolist(), strict=True)
    return _Ranking(
        consensus_of(forest, values, scores, seed=seed),
        {feature: Interval(low=lowest, high=highest) for feature, lowest, highest in pairs},
        tuple(pairwise(forest, observations, seed=seed)),
    )


def _part(name: str, part: Observations, effort: Effort) -> Part:
    reason = _unusable(name, part)
    if reason is not None:
        return Part(rows=len(part), r2=None, linear_r2=None, consensus=None, refusal=reason)
    values, scores, seed = part.values, part.scores, effort.seed
    r2 = forest_r2(values, scores, trees=effort.small_trees, seed=seed)
    refusal, shares = refusal_of(name, r2), None
    if refusal is None:
        forest = fit_forest(values, scores, trees=effort.small_trees, seed=seed)
        shares = _named(part.features, consensus_of(forest, values, scores, seed=seed).shares)
    linear = linear_r2(values, scores, seed=seed)
    return Part(rows=len(part), r2=r2, linear_r2=linear, consensus=shares, refusal=refusal)


def _unusable(name: str, part: Observations) -> str | None:
    try:
        require_rows(name, part)
    except DataError as exc:
        return str(exc)
    columns = [*part.values.T, part.scores]
    names = [*part.features, part.score]
    constant = [each for each, column in zip(names, columns, strict=True) if len(np.unique(column)) == 1]
    return f"{', '.join(constant)} constant at {name}" if constant else None


def _named(features: Sequence[str], shares: Floats) -> dict[str, float]:
    return dict(zip(features, shares.tolist(), strict=True))


def _measures(features: Sequence[str], consensus: Consensus) -> Measures:
    return Measures(
        impurity=_named(features, consensus.impurity),
        permutation=_named(features, consensus.permutation),
        shap=_named(features, consensus.shap),
    )


def _strength(features: Sequence[str], found: Interaction) -> PairStrength:
    return PairStrength(features=(features[found.first], features[found.second]), strength=found.strength)
