"""Answers from an engine score as those of a run do, with standard errors clustered by image."""

import numpy as np
import pytest

from bitloom.errors import EndpointError
from bitloom.results import SampleScore
from eval_client.examination import Examination, _standard_error, open_examination


@pytest.fixture(scope="module")
def examination() -> Examination:
    return open_examination("scenes:validation", ("caption", "vqa", "retrieval"), 4, "tiny-llava")


def perfect(examination: Examination) -> list[dict[str, object]]:
    """What a model that knows everything answers."""
    answers: list[dict[str, object]] = []
    for sample in examination._samples:
        if sample.candidate is None:
            answers.append({"text": sample.references[0], "finish_reason": "stop"})
            continue
        own = sample.candidate.image_id == sample.image.image_id
        logprobs = [[sample.candidate.text, -1.0 if own else -2.0]]
        answers.append({"text": "", "finish_reason": "length", "prompt_logprobs": logprobs})
    return answers


def test_perfect_answers_have_perfect_scores(examination: Examination) -> None:
    assert examination.score_names == ("CIDEr", "vqa_accuracy", "text_to_image_R@1")
    requests = examination.requests()
    assert len(requests) == 4 + 4 + 16 * 16
    assert requests[-1]["continue_final_message"]
    assert requests[0]["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png")
    scores = examination.score(perfect(examination))
    assert scores["vqa_accuracy"].value == pytest.approx(1.0)
    assert scores["text_to_image_R@1"].value == pytest.approx(1.0)
    assert scores["CIDEr"].value > 1
    assert scores["CIDEr"].standard_error > 0


def test_wrong_answers_score_less_and_missing_ones_are_an_error(examination: Examination) -> None:
    answers = perfect(examination)
    wrong = [{**answer, "text": "zebra"} for answer in answers]
    assert examination.score(wrong)["vqa_accuracy"].value == 0
    with pytest.raises(EndpointError, match="answers to"):
        examination.score(answers[:-1])


def test_samples_of_one_image_count_as_one() -> None:
    def scores(images: list[str]) -> list[SampleScore]:
        return [
            SampleScore(sample_id=str(place), task="vqa", image_id=image, scores={"a": float(place % 8 < 4)})
            for place, image in enumerate(images)
        ]

    alone = _standard_error(scores([str(place) for place in range(16)]), "a")
    assert alone == pytest.approx(0.5 * np.sqrt(16 / 15) / 4)
    in_pairs = _standard_error(scores([str(place // 2) for place in range(16)]), "a")
    assert in_pairs == pytest.approx(0.5 * np.sqrt(8 / 7) / np.sqrt(8))
