"""What the search is measured against, with the same look-ups: chance, and the additive model alone."""

from __future__ import annotations

import numpy as np

from bitloom.study.observations import Floats
from bitloom.study.search.design import additive_losses
from bitloom.study.search.goal import Goal
from bitloom.study.search.oracle import Oracle
from bitloom.study.search.pool import Indices, Pool

SHRINKAGE = 0.1


def random_search(pool: Pool, goal: Goal, *, lookups: int, seed: int) -> list[int]:
    """Indices of `lookups` allowed plans, drawn without repeats, in order; nothing is learned."""
    allowed = np.flatnonzero(goal.allowed(pool))
    drawn = np.random.default_rng(seed).permutation(allowed)[:lookups]
    return [int(index) for index in drawn]


def one_at_a_time(oracle: Oracle, pool: Pool, goal: Goal, *, lookups: int) -> list[int]:
    """The additive model as HIGGS (arXiv 2411.17525) and its like use it; indices looked up, in order.

    From the largest plan each feature is lowered alone, one look-up a level, largest loss of size first;
    losses are summed; what is left of the look-ups goes to the best plans by that sum.
    """
    top = int(np.argmax(pool.sizes))
    order, losses = [top], [np.zeros(len(pool.level_values(f))) for f in range(len(pool.features))]
    reference = oracle.evaluate(pool.point(top)).score
    for feature, level, index in _single_changes(pool, top):
        if len(order) >= lookups - 1:
            break
        losses[feature][level] = reference - oracle.evaluate(pool.point(index)).score
        order.append(index)
    allowed = np.flatnonzero(goal.allowed(pool))
    return [*order, *_first_unseen(allowed, additive_losses(pool, losses), order, lookups - len(order))]


def additive_refit(oracle: Oracle, pool: Pool, goal: Goal, *, lookups: int, seed: int) -> list[int]:
    """The additive model refitted after each look-up; half of the look-ups are random. Indices in order.

    Effects of levels are fitted by ridge regression, and the best predicted plan is measured next.
    """
    generator = np.random.default_rng(seed)
    allowed = np.flatnonzero(goal.allowed(pool))
    order = [int(index) for index in generator.permutation(allowed)[: lookups // 2]]
    scores = [oracle.evaluate(pool.point(index)).score for index in order]
    effects = _indicators(pool)
    while len(order) < min(lookups, len(allowed)):
        seen, centre = effects[order], float(np.mean(scores))
        normal = seen.T @ seen + SHRINKAGE * np.eye(seen.shape[1])
        predicted = effects @ np.linalg.solve(normal, seen.T @ (np.array(scores) - centre))
        index = _first_unseen(allowed, -predicted, order, 1)[0]
        order.append(index)
        scores.append(oracle.evaluate(pool.point(index)).score)
    return order


def _single_changes(pool: Pool, top: int) -> list[tuple[int, int, int]]:
    """(feature, level, index) of the plans that differ from `top` in one feature, smallest plans first."""
    differs = pool.levels != pool.levels[top]
    single = np.flatnonzero(differs.sum(axis=1) == 1)
    changes = []
    for index in single[np.argsort(pool.sizes[single])]:
        feature = int(np.flatnonzero(differs[index])[0])
        changes.append((feature, int(pool.levels[index, feature]), int(index)))
    return changes


def _first_unseen(allowed: Indices, losses: Floats, order: list[int], count: int) -> list[int]:
    ranked = allowed[np.argsort(losses[allowed], kind="stable")]
    return [int(index) for index in ranked if int(index) not in order][:count]


def _indicators(pool: Pool) -> Floats:
    counts = [len(pool.level_values(f)) for f in range(len(pool.features))]
    columns = [np.eye(count)[pool.levels[:, f]] for f, count in enumerate(counts)]
    return np.concatenate(columns, axis=1)
