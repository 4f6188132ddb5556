"""Block selections partition the blocks and name what they cannot parse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitloom.blocks import parse_blocks, select_blocks


@given(st.integers(min_value=0, max_value=200))
def test_thirds_partition_all_blocks(count: int) -> None:
    thirds = [select_blocks(group, count) for group in ("front", "middle", "end")]
    assert sum(len(third) for third in thirds) == count
    assert frozenset().union(*thirds) == select_blocks("all", count)


def test_thirds_follow_the_floor_rule() -> None:
    assert select_blocks("front", 5) == {0}
    assert select_blocks("middle", 5) == {1, 2}
    assert select_blocks("end", 5) == {3, 4}


def test_ranges_and_indices_add_up() -> None:
    assert parse_blocks("0-3,7") == frozenset({0, 1, 2, 3, 7})
    assert parse_blocks("5, 2") == frozenset({2, 5})


@pytest.mark.parametrize("text", ["", "first", "1-", "-1", "3-1", "1,,2", "1.5"])
def test_what_is_no_selection_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="blocks"):
        parse_blocks(text)
