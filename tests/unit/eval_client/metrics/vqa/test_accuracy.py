from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.errors import DataError
from eval_client.metrics.vqa import VQA_VARIANTS, HumanAnswers, score_vqa, vqa_accuracy
from eval_client.metrics.vqa.answers import normalized, without_punctuation

TEN = ("yes",) * 10


@pytest.fixture(scope="module")
def questions(conformance: Path) -> dict[str, HumanAnswers]:
    document = _read(conformance / "vqa/vqa_annotatons_valid.gzip")
    return {
        str(each["question_id"]): HumanAnswers(
            tuple(answer["answer"] for answer in each["answers"]), each["question_type"], each["answer_type"]
        )
        for each in document["annotations"]
    }


@pytest.fixture(scope="module")
def expected(conformance: Path) -> Any:
    return _read(conformance / "expected/vqav2_valid_subset_expected.json.gz")


def _read(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def _percent(share: float) -> float:
    return round(100 * share, 2)


@pytest.mark.parametrize(("variant", "key"), [("official", "official"), ("lavis", "lavis_mmq")])
def test_every_published_figure(
    questions: dict[str, HumanAnswers], expected: Any, variant: Any, key: str
) -> None:
    for predictor in expected.values():
        scores = score_vqa(predictor["predictions"], questions, variant)
        assert scores.variant == variant
        assert _percent(scores.accuracy) == predictor[key]["overall"]
        for means, name in (
            (scores.by_question_type, "perQuestionType"),
            (scores.by_answer_type, "perAnswerType"),
        ):
            assert {kind: _percent(mean) for kind, mean in means.items()} == predictor[key][name]
        per_question = predictor[f"{variant}_per_question"]
        assert {each: _percent(share) for each, share in scores.per_sample.items()} == per_question


def test_lmms_eval_figures(questions: dict[str, HumanAnswers], expected: Any) -> None:
    for predictor in expected.values():
        scores = score_vqa(predictor["predictions"], questions, "lmms_eval")
        assert _percent(scores.accuracy) == predictor["lmms_eval_vqav2"]


@pytest.mark.parametrize(
    ("matches", "accuracy"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)]
)
@pytest.mark.parametrize("variant", VQA_VARIANTS)
def test_equal_answers_of_different_people_all_count(variant: Any, matches: int, accuracy: float) -> None:
    answers = ["cat"] * matches + ["dog"] * (10 - matches)
    assert vqa_accuracy("cat", answers, variant) == pytest.approx(accuracy)


def test_variants_differ_where_all_humans_agree() -> None:
    by_variant = {variant: vqa_accuracy("Yes.", TEN, variant) for variant in VQA_VARIANTS}
    assert by_variant == {"official": 0.0, "lavis": 1.0, "lmms_eval": 1.0}


def test_lavis_leaves_numbers_of_humans_as_words() -> None:
    answers = ["two"] * 9 + ["three"]
    by_variant = {variant: vqa_accuracy("two", answers, variant) for variant in VQA_VARIANTS}
    assert by_variant == {"official": 1.0, "lavis": 0.0, "lmms_eval": 1.0}


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("The Cat", "cat"),
        ("a man, a dog", "man dog"),
        ("couldnt've", "couldn't've"),
        ("couldntve", "couldntve"),
        ("somebody'd", "somebodyd"),
        ("None", "0"),
        ("ten", "10"),
        ("1,000", "1000"),
        ("up/down", "up down"),
        ("up / down", "up down"),
        ("3.5 m.", "3.5 m"),
        ("two\nlines", "2 lines"),
    ],
)
def test_normalization(answer: str, result: str) -> None:
    assert normalized(answer) == result


def test_only_32_full_stops_are_removed() -> None:
    assert without_punctuation("." * 40) == "." * 8


def test_commas_between_digits_are_seen_differently() -> None:
    assert without_punctuation("1,,2-3") == "1  2 3"
    assert without_punctuation("1,,2-3", any_commas=True) == "123"


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(DataError, match="no VQA predictions"):
        score_vqa({}, {"1": HumanAnswers(TEN)}, "official")
    with pytest.raises(DataError, match="question 2 is predicted but has no human answers"):
        score_vqa({"2": "yes"}, {"1": HumanAnswers(TEN)}, "official")
    with pytest.raises(DataError, match="no human answers"):
        vqa_accuracy("yes", [], "official")
    with pytest.raises(ValueError, match="unknown VQA variant"):
        vqa_accuracy("yes", TEN, "mine")  # type: ignore[arg-type]


@given(
    st.text(max_size=20),
    st.lists(st.text(max_size=8), min_size=1, max_size=10),
    st.sampled_from(VQA_VARIANTS),
)
def test_accuracy_is_a_share(prediction: str, answers: list[str], variant: Any) -> None:
    assert 0.0 <= vqa_accuracy(prediction, answers, variant) <= 1.0


@given(st.text(max_size=30))
def test_words_are_plain_after_one_pass(answer: str) -> None:
    words = normalized(answer).split(" ")
    assert not {"a", "an", "the"} & set(words)
