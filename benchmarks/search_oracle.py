"""Regret against look-ups, with a measured grid as the oracle: the search, the additive model, and chance.

    python -m benchmarks.search_oracle [--results FILE --score S --features A,B,C --size bpw]
                                       [--budgets 4.5,5] [--scale 1] [--regret 4.0]

Regret is the best allowed plan's score less that of the best plan looked up so far. The grid's scores are
single measurements and count as the truth, so part of any regret is noise that no search can foresee: of
two plans that are equally good, the one that happened to measure higher is "better".

Without --results the paper's BLIP-2 grid is read from $BITLOOM_SHARED/paper_results.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness import Figures
from bitloom.study.observations import Floats, Observations, read_observations
from bitloom.study.search.baselines import additive_refit, one_at_a_time, random_search
from bitloom.study.search.goal import UnderBudget
from bitloom.study.search.loop import search
from bitloom.study.search.oracle import GridOracle
from bitloom.study.search.pool import Pool, pool_of

LOOKUPS, SEEDS = 24, 20
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
    finals: dict[str, list[float]] = {name: [] for name in searchers}
    for budget in case.budgets:
        for name, searcher in searchers.items():
            curves = np.array(
                [regret_curve(case, budget, searcher(UnderBudget(budget), seed)) for seed in range(SEEDS)]
            )
            print_curve(f"{budget:g} {name}", np.median(curves, axis=0))
            figures[f"{name} at {budget:g}, median"] = float(np.median(curves[:, -1]))
            figures[f"{name} at {budget:g}, mean"] = float(np.mean(curves[:, -1]))
            finals[name] += curves[:, -1].tolist()
    return judge(case, figures, finals).close()


def judge(case: Case, figures: dict[str, float], finals: Mapping[str, Sequence[float]]) -> Figures:
    """The bar: each budget's median at most `case.bar`, and over all budgets less than the baselines'."""
    means = {name: float(np.mean(values)) for name, values in finals.items()}
    figures |= {f"{name}, mean of all budgets": mean for name, mean in means.items()}
    medians = [figures[f"search at {budget:g}, median"] for budget in case.budgets]
    is_good = all(median <= case.bar for median in medians)
    beats = all(means["search"] < mean for name, mean in means.items() if name != "search")
    bar = (
        f"median regret over {SEEDS} seeds at most {case.bar:g} under each budget, {LOOKUPS} look-ups, and "
        "a lower mean than random search's and the additive models'"
    )
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
    given = parser.parse_args(arguments)
    observations = read_observations(
        given.results, score=given.score, features=given.features.split(","), size=given.size
    )
    budgets = tuple(float(budget) for budget in given.budgets.split(","))
    return Case(observations, pool_of(observations), budgets, given.scale, given.regret)


if __name__ == "__main__":
    sys.exit(main())
