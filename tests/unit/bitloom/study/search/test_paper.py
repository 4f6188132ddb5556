"""Searches replayed on the paper's grids; `benchmarks.search_oracle` has the whole curves."""

from pathlib import Path

import numpy as np
import pytest

from bitloom.study.observations import read_observations
from bitloom.study.search.replay import Replay
from bitloom.study.search.request import FloorRequest

SEEDS = range(5)


@pytest.fixture
def blip2(paper_results: Path) -> Replay:
    """448 plans of BLIP-2 on COCO captions."""
    features = ["vit_bits", "qformer_bits", "llm_bits"]
    path = paper_results / "blip2_coco_gptq.csv"
    return Replay(read_observations(path, score="CIDEr", features=features, size="bpw"), "bpw")


@pytest.mark.parametrize("budget", [4.5, 5.0, 6.0])
def test_blip2_regret(blip2: Replay, budget: float) -> None:
    regrets = [blip2.under_budget(budget, lookups=24, seed=seed).regret or 0.0 for seed in SEEDS]
    assert 100 * np.median(regrets) <= 4.0


def test_blip2_floor(blip2: Replay) -> None:
    report = blip2.above_floor(FloorRequest("CIDEr", 0.98), lookups=24)
    assert report.best.score >= 0.98 * report.lookups[0].score
    assert report.best.size < 6.0


def test_llava_regret(paper_results: Path) -> None:
    observations = read_observations(
        paper_results / "llava_gptq_gqa.csv",
        score="acc",
        features=["vision_bits", "language_bits"],
        size="bpw",
    )
    for budget in (3.6, 4.5, 6.0):
        regrets = [
            Replay(observations, "bpw").under_budget(budget, lookups=10, seed=seed).regret or 0.0
            for seed in SEEDS
        ]
        assert np.median(regrets) <= 0.5
