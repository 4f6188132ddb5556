"""Scenes as a data set."""

import pytest

from bitloom.errors import DataError
from eval_client.datasets import Limits, dataset_hash, load_dataset

SMALL = Limits(captions=3, questions=12, retrieval=10, shard=4)


def test_captions_questions_and_shards() -> None:
    data = load_dataset("scenes:test", SMALL)
    assert [item.image.image_id for item in data.captions] == ["test:0", "test:1", "test:2"]
    assert all(len(item.references) == 5 for item in data.captions)
    assert len(data.questions) == 12
    assert len({item.question_id for item in data.questions}) == 12
    assert [len(shard.images) for shard in data.shards] == [4, 4, 4]
    for shard in data.shards:
        assert len({each.text for each in shard.captions}) == 4
        assert {each.image_id for each in shard.captions} == {image.image_id for image in shard.images}


def test_questions_of_all_kinds_come_early() -> None:
    data = load_dataset("scenes:validation", Limits(0, 60, 0, 4))
    assert len({item.kind for item in data.questions}) >= 9


def test_it_is_the_same_every_time() -> None:
    first, second = (dataset_hash(load_dataset("scenes:test", SMALL)) for _ in range(2))
    assert first == second
    assert first != dataset_hash(load_dataset("scenes:validation", SMALL))


def test_more_captions_than_there_are_is_said() -> None:
    with pytest.raises(DataError, match="has 2000 scenes, not 2001"):
        load_dataset("scenes:validation", Limits(2001, 0, 0, 4))
