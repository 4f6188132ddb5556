"""A grid's plans, and that a cut-off grid is still a balanced one."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitloom.errors import PlanError
from bitloom.plan import Rule
from bitloom.study.grid import Grid, read_grid
from bitloom.study.grid_expansion import balanced_order, expand


def spread(levels: np.ndarray[tuple[int, int], np.dtype[np.int64]], axis: int) -> int:
    """Most less fewest appearances of a level among these points."""
    counts = np.bincount(levels[:, axis], minlength=int(levels[:, axis].max()) + 1)
    return int(counts.max() - counts.min())


@pytest.mark.parametrize(("name", "plans"), [("blip2-coco", 448), ("llava-vqa", 49), ("scenes", 18)])
def test_presets_have_their_plans(name: str, plans: int) -> None:
    entries = expand(read_grid(name))
    assert len(entries) == plans
    assert len({entry.plan.hash for entry in entries}) == plans
    assert len({entry.plan.name for entry in entries}) == plans


@pytest.mark.parametrize("name", ["blip2-coco", "llava-vqa"])
def test_the_base_is_a_point_of_the_product(name: str) -> None:
    whole = [entry for entry in expand(read_grid(name)) if set(entry.features.values()) == {16}]
    assert [[rule.model_dump(exclude_none=True) for rule in entry.plan.rules] for entry in whole] == [
        [Rule(bits=16).model_dump(exclude_none=True)]
    ]


def test_equal_plans_of_a_grid_are_one() -> None:
    """Without any third, layers and bits change nothing but the other components."""
    entries = expand(read_grid("uniform-blocks"))
    nothing = [entry for entry in entries if not any(entry.features[a] for a in ("front", "middle", "end"))]
    assert sum(not entry.features["others"] for entry in nothing) == 1
    assert len(entries) == 6 * 3 * 7 * 2 + 6 + 1


@pytest.mark.parametrize("name", ["blip2-coco", "llava-vqa", "scenes"])
def test_a_cut_off_grid_is_balanced(name: str) -> None:
    grid = read_grid(name)
    entries = expand(grid)
    for cut in range(max(len(values) for values in grid.axes.values()), len(entries) + 1):
        for axis in grid.axes:
            counts = Counter(entry.features[axis] for entry in entries[:cut])
            assert len(counts) == len(grid.axes[axis])
            assert max(counts.values()) - min(counts.values()) <= 3, (cut, axis, counts)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(2, 6), min_size=1, max_size=4))
def test_every_order_is_a_permutation_with_balanced_prefixes(sizes: list[int]) -> None:
    levels = np.stack(np.meshgrid(*[np.arange(size) for size in sizes], indexing="ij"), -1)
    levels = levels.reshape(-1, len(sizes))
    order = balanced_order(levels)
    assert sorted(order) == list(range(len(levels)))
    half = levels[order[: max(len(order) // 2, max(sizes))]]
    for axis, size in enumerate(sizes):
        assert set(half[:, axis]) == set(range(size))
        assert spread(half, axis) <= 3


def test_features_and_rules_agree() -> None:
    for entry in expand(read_grid("llava-vqa"))[:5]:
        settings_of = {rule.component: rule.bits for rule in entry.plan.rules[1:]}
        assert settings_of == {
            "vision": entry.features["vision_bits"],
            "language": entry.features["language_bits"],
        }


def test_a_point_that_makes_no_valid_plan_is_named() -> None:
    grid = Grid.parse(
        {"name": "g", "base": "b", "axes": {"bits": [4, 9]}, "rules": [{"bits": "$bits"}]}, source="test"
    )
    with pytest.raises(PlanError, match=r"grid g at bits=9: rules\.0\.bits"):
        expand(grid)


def test_too_large_a_product_is_refused() -> None:
    axes = {f"a{index}": [2, 3, 4, 5, 6, 7, 8] for index in range(6)}
    rules = [{"blocks": f"{index}", "bits": f"$a{index}"} for index in range(6)]
    with pytest.raises(PlanError, match="117649 points"):
        expand(Grid.parse({"name": "g", "base": "b", "axes": axes, "rules": rules}, source="test"))


def test_a_list_keeps_its_order() -> None:
    plans = [{"name": name, "rules": [{"bits": bits}]} for name, bits in (("z", 4), ("a", 3), ("again", 4))]
    entries = expand(Grid.parse({"name": "g", "base": "b", "plans": plans}, source="test"))
    assert [entry.plan.name for entry in entries] == ["z", "a"]
