"""Answers from an engine score as those of a run do, with standard errors clustered by image."""

import pytest

from bitloom.errors import EndpointError
from eval_client.examination import Examination, open_examination


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


def test_shares_are_of_the_base_and_paired_with_it(examination: Examination) -> None:
    base = examination.judge(perfect(examination))
    whole = examination.score(perfect(examination), base)
    assert tuple(whole)[3:] == examination.share_names
    assert [each.value for each in list(whole.values())[3:]] == [1.0] * 4
    answers = perfect(examination)
    wrong = [{**answers[0], "text": "zebra"}, *answers[1:]]
    found = examination.score(wrong, base)
    lost = 1 - found["CIDEr"].value / whole["CIDEr"].value
    assert 0.1 < lost < 0.5
    assert found["CIDEr_kept"].value == pytest.approx(1 - lost)
    assert found["kept"].value == pytest.approx(1 - lost / 3)
    assert found["CIDEr_kept"].standard_error > whole["CIDEr_kept"].standard_error > 0
    lead = examination.kept(base, base, examination.judge(wrong))
    assert lead.value == pytest.approx(lost / 3)
    assert lead.low is not None
    assert lead.low < 0 < lead.value
