"""Splits are reproducible, sized as they say, and disjoint by seed and by what the scenes show."""

import subprocess
import sys
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.scenes import SPLITS, retrieval_scenes, scene, split_size

SCENES_COMPARED = 400


@given(st.sampled_from(sorted(SPLITS)), st.integers(0, 1999))
def test_scene_is_a_function_of_split_and_index(split: str, index: int) -> None:
    first, second = scene(split, index), scene(split, index)
    assert first == second
    assert (first.background, first.pixel_seed) == (second.background, second.pixel_seed)
    assert first.questions() == second.questions()
    assert SPLITS[split].owns(first.objects)


def test_no_description_is_in_two_splits() -> None:
    described = {
        split: {scene(split, index).description_hash() for index in range(SCENES_COMPARED)}
        for split in SPLITS
    }
    for one, other in combinations(described, 2):
        assert not described[one] & described[other]


def test_seed_ranges_do_not_overlap() -> None:
    ranges = sorted((each.first_seed, each.first_seed + each.size) for each in SPLITS.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(ranges))


def test_shares_cover_every_hash_once() -> None:
    covered = [byte for split in SPLITS.values() for byte in split.shares]
    assert sorted(covered) == list(range(256))


def test_unknown_split_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'dev'.*train.*test"):
        scene("dev", 0)


@pytest.mark.parametrize("index", [-1, 5000])
def test_index_outside_the_split_is_refused(index: int) -> None:
    assert split_size("test") == 5000
    with pytest.raises(IndexError, match=r"0\.\.4999"):
        scene("test", index)


def test_retrieval_candidates_all_read_differently() -> None:
    chosen = retrieval_scenes("validation", 32)
    assert len({each.captions()[0] for each in chosen}) == len(chosen) == 32
    assert all(SPLITS["validation"].owns(each.objects) for each in chosen)


def test_retrieval_count_must_fill_whole_clusters() -> None:
    with pytest.raises(ValueError, match="no multiple of cluster 8"):
        retrieval_scenes("test", 12)


def test_scenes_do_without_torch() -> None:
    program = "import sys, zoo.scenes as z; z.scene('test', 0).render(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
