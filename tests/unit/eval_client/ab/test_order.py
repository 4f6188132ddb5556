"""Two arms in turn: every pair stays together, and neither arm goes first more often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_client.ab.order import interleaved


@given(st.integers(0, 60), st.integers(0, 2**32))
def test_pairs_stay_together_and_are_balanced(count: int, seed: int) -> None:
    turns = list(interleaved(range(count), range(count), seed=seed))
    assert [place for _, place in turns] == [place for place in range(count) for _ in "ab"]
    pairs = [(turns[at][0], turns[at + 1][0]) for at in range(0, 2 * count, 2)]
    assert pairs.count((0, 1)) == -(-count // 2)
    assert pairs.count((1, 0)) == count // 2


def test_the_order_is_random_and_repeatable() -> None:
    orders = {tuple(interleaved(range(40), range(40), seed=seed)) for seed in (1, 1, 2, 3)}
    assert len(orders) == 3


def test_arms_of_unequal_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        list(interleaved([1, 2], [1], seed=0))
