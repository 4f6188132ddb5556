"""Recall at one: ties are misses, and a caption that is likely everywhere does not win everywhere."""

import pytest
import torch

from zoo.evaluate.measures import Recall, recall_at_one


def test_the_right_pair_scores_highest() -> None:
    assert recall_at_one(torch.eye(4)) == Recall(1.0, 1.0)


def test_a_tie_is_a_miss() -> None:
    assert recall_at_one(torch.zeros(4, 4)) == Recall(0.0, 0.0)


def test_a_likely_caption_is_discounted() -> None:
    scores = torch.eye(4) + torch.tensor([9.0, 0.0, 0.0, 0.0])
    assert recall_at_one(scores) == Recall(1.0, 1.0)


def test_a_caption_that_fits_two_images_is_missed_once() -> None:
    scores = torch.eye(4)
    scores[1, 0] = 2.0
    recall = recall_at_one(scores)
    assert recall.text_to_image == pytest.approx(0.75)
    assert recall.image_to_text == pytest.approx(0.75)
