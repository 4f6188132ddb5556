"""Regret against look-ups, with a measured grid as the oracle: the search, the additive model, and chance.

    python -m benchmarks.search_oracle [--results FILE --score S --features A,B,C --size bpw]
                                       [--budgets 4.5,5] [--scale 1] [--regret 4.0] [--first-seed 0]

Regret is the best allowed plan's score less that of the best plan looked up so far. The grid's scores are
single measurements and count as the truth, so part of any regret is noise that no search can foresee: of
two plans that are equally good, the one that happened to measure higher is "better". `foresight` shows how
much: it knows the scores of all other plans (eighths of the grid, each predicted by the search's own model
from the seven others) and looks up the 24 best predicted.

The search is compared with chance and the additive models by what is left after 24 look-ups (its median may
not be higher under any budget, the mean over budgets must be lower) and on the way there: the area under the
curve, which is the mean regret over 1..24 look-ups, must be lower under every budget.

Without --results the paper's BLIP-2 grid is read from $BITLOOM_SHARED/paper_results.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness import Figures
from bitloom.study.observations import Floats, Observations, read_observations
from bitloom.study.search.baselines import additive_refit, one_at_a_time, random_search
from bitloom.study.search.design import prior_losses
from bitloom.study.search.goal import UnderBudget
from bitloom.study.search.loop import search
from bitloom.study.search.oracle import GridOracle
from bitloom.study.search.pool import Pool, pool_of
from bitloom.study.search.surrogate import Surrogate

LOOKUPS, SEEDS = 24, 20
PARTS = 8
SHOWN = (4, 8, 12, 16, 20, 24)
ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("BITLOOM_SHARED", ROOT.parent / "shared"))
Searcher = Callable[[UnderBudget, int], list[int]]


@dataclass(frozen=True, slots=True)
class Case:
    """A grid with its budgets, in the unit of its sizes, and the regret that is still good."""

    observations: Observations
    pool: Pool
    budgets: tuple[float, ...]
    scale: float
    bar: float
    first_seed: int


def main() -> int:
    """Print the curves of every budget; exit 1 unless the search's median regret holds the bar everywhere."""
    case = read_case(sys.argv[1:])
    oracle = GridOracle(case.observations)
    searchers: dict[str, Searcher] = {
        "search": lambda goal, seed: [
            each.index for each in search(oracle, case.pool, goal, lookups=LOOKUPS, seed=seed).lookups
        ],
        "random": lambda goal, seed: random_search(case.pool, goal, lookups=LOOKUPS, seed=seed),
        "additive": lambda goal, _: one_at_a_time(oracle, case.pool, goal, lookups=LOOKUPS),
        "additive_refit": lambda goal, seed: additive_refit(
            oracle, case.pool, goal, lookups=LOOKUPS, seed=seed
        ),
    }
    figures: dict[str, float] = {}
    guesses = foreseen(case)
    for budget in case.budgets:
        for name, searcher in searchers.items():
            seeds = range(case.first_seed, case.first_seed + SEEDS)
            curves = np.array(
                [regret_curve(case, budget, searcher(UnderBudget(budget), seed)) for seed in seeds]
            )
            print_curve(f"{budget:g} {name}", np.median(curves, axis=0))
            figures[f"{name} at {budget:g}, median"] = float(np.median(curves[:, -1]))
            figures[f"{name} at {budget:g}, mean"] = float(np.mean(curves[:, -1]))
            figures[f"{name} at {budget:g}, area"] = float(np.mean(curves))
        allowed = np.flatnonzero(case.pool.sizes <= budget)
        curve = regret_curve(case, budget, allowed[np.argsort(-guesses[allowed])].tolist())
        print_curve(f"{budget:g} foresight", curve)
        figures[f"foresight at {budget:g}"] = float(curve[-1])
    return judge(case, figures, [name for name in searchers if name != "search"]).close()


def foreseen(case: Case) -> Floats:
    """Each plan's score as the search's model predicts it from the other parts' plans [plans]."""
    surrogate = Surrogate(case.pool, prior_losses(case.pool))
    part = np.random.default_rng(0).permutation(len(case.pool)) % PARTS
    found = np.zeros(len(case.pool))
    for number in range(PARTS):
        known = np.flatnonzero(part != number)
        belief = surrogate.learn(known, case.observations.scores[known], np.zeros(len(known)))
        found[part == number] = belief.mean[part == number]
    return found


def judge(case: Case, figures: dict[str, float], others: Sequence[str]) -> Figures:
    """The bar: each budget's median at most `case.bar`, and less left than the baselines leave."""
    is_good = all(figures[f"search at {budget:g}, median"] <= case.bar for budget in case.budgets)
    for name in ("search", *others):
        means = [figures[f"{name} at {budget:g}, mean"] for budget in case.budgets]
        figures[f"{name}, mean of all budgets"] = float(np.mean(means))
    beats = all(
        figures[f"search at {budget:g}, median"] <= figures[f"{name} at {budget:g}, median"]
        and figures[f"search at {budget:g}, area"] < figures[f"{name} at {budget:g}, area"]
        for budget in case.budgets
        for name in others
    ) and all(
        figures["search, mean of all budgets"] < figures[f"{name}, mean of all budgets"] for name in others
    )
    bar = (
        f"median regret over {SEEDS} seeds at most {case.bar:g} under each budget, {LOOKUPS} look-ups; no "
        "higher than random search's and the additive models' under any, with a lower area under the curve, "
        "and a lower mean over budgets"
    )
    print(f"regret at most {case.bar:g}: {is_good}; lower than all others: {beats}", flush=True)
    return Figures("search_oracle", figures, bar, is_good and beats)


def regret_curve(case: Case, budget: float, order: Sequence[int]) -> Floats:
    """Regret after 1..LOOKUPS look-ups [LOOKUPS]; a plan over the budget helps nothing but costs one.

    Before the first allowed plan the regret is that of the worst one.
    """
    allowed = case.pool.sizes <= budget
    scores = case.scale * case.observations.scores
    best, worst = scores[allowed].max(), scores[allowed].min()
    found = np.array([scores[index] if allowed[index] else worst for index in order[:LOOKUPS]])
    curve = best - np.maximum.accumulate(found)
    return np.asarray(np.pad(curve, (0, LOOKUPS - len(curve)), mode="edge"))


def print_curve(name: str, curve: Floats) -> None:
    """One line: the median regret after some numbers of look-ups."""
    shown = "  ".join(f"{count}: {curve[count - 1]:6.2f}" for count in SHOWN)
    print(f"{name:24s} {shown}", flush=True)


def read_case(arguments: Sequence[str]) -> Case:
    """The case of the command line; the paper's BLIP-2 grid where no results are given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--results", type=Path, default=SHARED / "paper_results" / "blip2_coco_gptq.csv")
    parser.add_argument("--score", default="CIDEr")
    parser.add_argument("--features", default="vit_bits,qformer_bits,llm_bits")
    parser.add_argument("--size", default="bpw")
    parser.add_argument("--budgets", default="4.5,5,6,8", help="in the unit of the size column")
    parser.add_argument("--scale", type=float, default=100.0, help="regret is this many times the score's")
    parser.add_argument("--regret", type=float, default=4.0, help="the bar")
    parser.add_argument("--first-seed", type=int, default=0, help=f"of {SEEDS}")
    given = parser.parse_args(arguments)
    observations = read_observations(
        given.results, score=given.score, features=given.features.split(","), size=given.size
    )
    budgets = tuple(float(budget) for budget in given.budgets.split(","))
    return Case(observations, pool_of(observations), budgets, given.scale, given.regret, given.first_seed)


if __name__ == "__main__":
    sys.exit(main())
