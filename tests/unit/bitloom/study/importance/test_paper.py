"""The paper's own files give the paper's published row, and what it does not say."""

from pathlib import Path

import pytest

from bitloom.study.importance.analysis import Effort, analyse
from bitloom.study.observations import read_observations

EFFORT = Effort(trees=100, small_trees=30, resamples=10)


def test_blip2_captioning(paper_results: Path) -> None:
    """Published: ViT 50.4, Q-Former 2.0, LLM 47.6; without the 2-bit rows about 2/1/96."""
    observations = read_observations(
        paper_results / "blip2_coco_gptq.csv",
        score="CIDEr",
        features=["vit_bits", "qformer_bits", "llm_bits"],
    )
    report = analyse(observations, EFFORT).report
    assert report.rows == 448
    assert report.consensus is not None
    published = {"vit_bits": 0.504, "qformer_bits": 0.020, "llm_bits": 0.476}
    assert report.consensus == pytest.approx(published, abs=0.015)
    above = report.restricted["bits >= 3"].consensus
    assert above is not None
    assert above == pytest.approx({"vit_bits": 0.02, "qformer_bits": 0.01, "llm_bits": 0.96}, abs=0.015)
    assert any(flag.startswith("the ranking turns at bits >= 3") for flag in report.flags)


def test_llava_question_answering_flags_what_has_no_skill(paper_results: Path) -> None:
    observations = read_observations(
        paper_results / "llava_gptq_gqa.csv", score="acc", features=["vision_bits", "language_bits"]
    )
    report = analyse(observations, EFFORT).report
    assert report.r2 > 0.9
    part = report.restricted["bits >= 4"]
    assert part.rows == 25
    assert part.linear_r2 is not None
    assert part.linear_r2 < 0.1
    assert any("no skill at bits >= 4: R2 = " in flag for flag in report.flags)
