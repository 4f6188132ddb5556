"""Scores of records: what failed is in none, intervals are by image, ties are told."""

from collections.abc import Callable

import pytest

from bitloom.results import SampleRecord
from eval_client.tasks.score import score_records
from eval_client.tasks.scores import TaskScores

MakeRecord = Callable[..., SampleRecord]
YES = ("yes",) * 10


def value(scores: TaskScores, name: str) -> float:
    return next(score.value for score in scores.scores if score.name == name)


def test_accuracy_is_over_answered_questions(record: MakeRecord) -> None:
    records = [
        record("vqa/1", image_id="a", kind="color", references=YES, answer=" yes\n"),
        record("vqa/2", image_id="b", kind="count", references=YES, answer="no"),
        record("vqa/3", image_id="c", kind="count", references=YES, error="stalled: x"),
    ]
    scores = score_records(records, "official", seed=0)
    assert value(scores, "vqa_accuracy") == 0.5
    assert scores.scores[0].samples == 2
    assert scores.breakdown == {"vqa": {"color": 1.0, "count": 0.0}}
    assert [each.scores["vqa_accuracy"] for each in scores.per_sample] == [1.0, 0.0]


def test_the_variant_decides(record: MakeRecord) -> None:
    records = [record("vqa/1", references=YES, answer="Yes.")]
    assert value(score_records(records, "official", seed=0), "vqa_accuracy") == 0.0
    assert value(score_records(records, "lmms_eval", seed=0), "vqa_accuracy") == 1.0


def test_nothing_answered_is_no_score(record: MakeRecord) -> None:
    records = [
        record("vqa/1", references=YES, error="x: y"),
        record("caption/1", references=("a",), error="x: y"),
    ]
    scores = score_records(records, "official", seed=0)
    assert scores.scores == ()
    assert len(scores.notes) == 2


def captions(record: MakeRecord, answers: dict[str, str | None]) -> list[SampleRecord]:
    references = {"a": "a red dog runs", "b": "two cats sleep here", "c": "the old man reads"}
    return [
        record(f"caption/{name}", image_id=name, references=(references[name],), answer=answer)
        if answer is not None
        else record(f"caption/{name}", image_id=name, references=(references[name],), error="x: y")
        for name, answer in answers.items()
    ]


def test_captions_are_scored_against_their_own_references(record: MakeRecord) -> None:
    right = captions(record, {"a": "A red dog runs.", "b": "two cats sleep here", "c": None})
    scores = score_records(right, "official", seed=0)
    assert value(scores, "ROUGE_L") == pytest.approx(1.0)
    assert value(scores, "Bleu_4") == pytest.approx(1.0)
    assert value(scores, "CIDEr") == pytest.approx(10.0)
    assert scores.scores[0].samples == 2


def test_captions_that_share_nothing_with_their_references_score_nothing(record: MakeRecord) -> None:
    scores = score_records(captions(record, {"a": "blue", "b": "green"}), "official", seed=0)
    assert value(scores, "CIDEr") == value(scores, "ROUGE_L") == 0.0


def test_an_interval_of_bleu_holds_its_value(record: MakeRecord) -> None:
    mixed = captions(record, {"a": "a red dog runs", "b": "two dogs sleep there", "c": "an old man"})
    bleu = next(score for score in score_records(mixed, "official", seed=0).scores if score.name == "Bleu_1")
    assert bleu.low is not None
    assert bleu.high is not None
    assert bleu.low < bleu.value < bleu.high


def pairs(record: MakeRecord, scores: list[list[float]]) -> list[SampleRecord]:
    return [
        record(f"retrieval/{row}/{column}", image_id=str(row), caption_id=f"{column}#0", score=score)
        for row, line in enumerate(scores)
        for column, score in enumerate(line)
    ]


def test_recall_both_ways(record: MakeRecord) -> None:
    scores = score_records(pairs(record, [[3, 1, 0], [2, 1, 0], [0, 0, 1]]), "official", seed=0)
    assert value(scores, "image_to_text_R@1") == pytest.approx(2 / 3)
    assert value(scores, "text_to_image_R@1") == pytest.approx(1 / 3 + 0.5 / 3 + 1 / 3)
    ties = scores.breakdown["retrieval ties"]
    assert ties["text_to_image_R@1 optimistic"] == pytest.approx(1.0)
    assert ties["text_to_image_R@1 pessimistic"] == pytest.approx(2 / 3)
    assert not any("R@5" in score.name for score in scores.scores)


def test_a_shard_with_a_failed_pair_is_left_out_and_said(record: MakeRecord) -> None:
    records = pairs(record, [[1, 0], [0, 1]])
    other = [
        record(f"retrieval/{row}/{column}", image_id=row, caption_id=f"{column}#0", score=1.0)
        for row in "xy"
        for column in "xy"
    ]
    other[0] = record(other[0].sample_id, image_id="x", caption_id="x#0", error="x: y")
    scores = score_records(records + other, "official", seed=0)
    assert value(scores, "image_to_text_R@1") == 1.0
    assert scores.notes == ("1 of 2 retrieval shards left out: pairs failed",)
