"""The mean of three tasks, and whose samples go together."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.search_test_split import mean_of_three, scenes, statistic, terms
from bitloom.results import SampleScore, Task


def score(task: Task, image: str, **scores: float) -> SampleScore:
    named = {name.replace("R1", "R@1"): value for name, value in scores.items()}
    return SampleScore(sample_id=f"{task}/{image}", task=task, image_id=image, scores=named)


def samples(cider: float, right: float, found: float) -> list[SampleScore]:
    return [
        score("caption", "test:0", CIDEr=cider, ROUGE_L=0.9),
        score("vqa", "test:0", vqa_accuracy=right),
        score("vqa", "test:1", vqa_accuracy=1.0),
        score("retrieval", "test:1~3", text_to_image_R1=found),
        score("retrieval", "test:1", image_to_text_R1=1.0),
    ]


def test_each_task_counts_the_same_whatever_its_samples() -> None:
    own = samples(8.0, 1.0, 1.0)
    assert mean_of_three(terms(own, own, is_difference=False))[0] == pytest.approx((0.8 + 1.0 + 1.0) / 3)
    difference = terms(own, samples(6.0, 0.0, 0.0))
    assert mean_of_three(difference)[0] == pytest.approx((0.2 + 0.5 + 0.5) / 3)
    assert statistic(np.vstack([difference.sum(0), 2 * difference.sum(0)])).tolist() == pytest.approx(
        [0.4, 0.4]
    )


def test_near_duplicates_belong_to_their_scene() -> None:
    assert scenes(samples(1, 1, 1)) == ["test:0", "test:0", "test:1", "test:1", "test:1"]
