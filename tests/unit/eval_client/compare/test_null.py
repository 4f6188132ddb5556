"""The test of the test: of two runs of the same weights `compare` claims no more than chance allows.

Same weights answer alike, but not the same: sampling, batching and order of addition change some. Both
runs' answers are therefore drawn anew, image by image, from the same distribution.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from eval_client.compare.margins import Margins
from eval_client.compare.metrics import compare_metrics
from eval_client.compare.model import MetricComparison
from eval_client.compare.pairing import PairedRuns
from eval_client.report.runs import ReportRun
from eval_client.stats import Array
from eval_client.tasks.score import score_records
from tests.unit.eval_client.compare.conftest import caption, manifest_of, question

PAIRS, IMAGES, QUESTIONS = 200, 60, 3
PRIMARY = ("vqa_accuracy", "CIDEr")
MARGINS = Margins(by_name={"vqa_accuracy": 0.2, "CIDEr": 2.0})
SAID = (
    "a large red circle above a small blue square .",
    "two green triangles .",
    "a star in a square",
    "a yellow square with a hole",
    "there is a star and a circle",
)


def run_of(rng: np.random.Generator, skill: Array, name: str) -> ReportRun:
    """One run: every question is right with the chance that its image has, every caption is one of five."""
    right = rng.random((IMAGES, QUESTIONS)) < skill[:, None]
    said = rng.integers(0, len(SAID), IMAGES)
    records = [
        question(QUESTIONS * image + place, "yes" if right[image, place] else "no", image=image)
        for image in range(IMAGES)
        for place in range(QUESTIONS)
    ] + [caption(image, SAID[said[image]]) for image in range(IMAGES)]
    scores = score_records(records, "official", 0)
    return ReportRun(
        name=name,
        directory=Path(name),
        manifest=manifest_of(name, records, scores),
        answers={record.sample_id: record for record in records},
        scores={score.sample_id: score for score in scores.per_sample},
        timed=(),
        memory=(),
        size=None,
    )


def compared(seed: int) -> dict[str, MetricComparison]:
    """Two runs of the same weights on the same images, compared, by metric."""
    rng = np.random.default_rng(seed)
    skill = rng.beta(2, 1, IMAGES)
    pair = PairedRuns(run_of(rng, skill, "a"), run_of(rng, skill, "b"), ())
    found, _ = compare_metrics(pair, MARGINS, seed=seed)
    return {each.name: each for each in found}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_runs_of_the_same_weights_give_uniform_p_values_and_are_equivalent() -> None:
    found = [compared(seed) for seed in range(PAIRS)]
    most = int(stats.binom.ppf(0.999, PAIRS, 0.05))
    p_values = {name: np.array([each[name].p_value for each in found]) for name in found[0]}
    for name in ("CIDEr", "ROUGE_L", "Bleu_1", "Bleu_4"):
        assert stats.kstest(p_values[name], "uniform").pvalue > 0.01, name
    steps = stats.kstest(p_values["vqa_accuracy"], "uniform", alternative="greater")
    assert steps.pvalue > 0.01
    for name, values in p_values.items():
        assert (values <= 0.05).sum() <= most, name
    alarms = sum(any((each[name].p_holm or 0) <= 0.05 for name in PRIMARY) for each in found)
    assert 0 < alarms <= most
    for name in PRIMARY:
        outcomes = [each[name].outcome for each in found]
        assert outcomes.count("equivalent") >= 0.9 * PAIRS, name
        covered = sum(each[name].low <= 0 <= each[name].high for each in found)
        assert PAIRS - covered <= most, name
