"""Features are made once for each pair of weights and image, and never of other weights."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor  # noqa: E402 - after the check that torch is there

from server.workers.study_worker.features import FeatureCache, is_language  # noqa: E402


class FakeTower:
    """Features of an image: its pixels times a weight; counts the images that it sees."""

    def __init__(self) -> None:
        self.weight = 1.0
        self.seen = 0

    def embed(self, pixel_values: Tensor) -> Sequence[Tensor]:
        self.seen += len(pixel_values)
        return list(pixel_values * self.weight)


def images(*values: float) -> Tensor:
    stacked: Tensor = torch.stack([torch.full((3, 2, 2), value) for value in values])
    return stacked


def swap(tower: FakeTower, cache: FeatureCache, weight: float) -> None:
    tower.weight = weight
    cache.take_on({"vision_tower.layer.weight": torch.tensor([weight])})


def test_an_image_goes_through_the_tower_once_for_each_weights() -> None:
    tower = FakeTower()
    cache = FeatureCache(tower.embed)
    for weight in (1.0, 2.0, 1.0, 2.0):
        swap(tower, cache, weight)
        found = cache(pixel_values=images(3.0, 4.0))
        assert [float(each.mean()) for each in found] == [3.0 * weight, 4.0 * weight]
    assert tower.seen == cache.computed == 4
    # Of a batch, only what is new is computed, and the order stays.
    found = cache(pixel_values=images(5.0, 4.0, 3.0))
    assert [float(each.mean()) for each in found] == [10.0, 8.0, 6.0]
    assert tower.seen == 5


def test_the_language_model_changes_no_feature_but_any_other_tensor_does() -> None:
    tower = FakeTower()
    cache = FeatureCache(tower.embed)
    cache(pixel_values=images(1.0))
    cache.take_on({"language_model.model.layers.0.mlp.fc1.weight": torch.ones(2)})
    cache.take_on({"lm_head.weight": torch.ones(2)})
    cache(pixel_values=images(1.0))
    assert tower.seen == 1
    cache.take_on({"query_tokens": torch.ones(2)})
    cache(pixel_values=images(1.0))
    assert tower.seen == 2
    assert is_language("model.language_model.layers.0.weight")
    assert not is_language("language_projection.weight")


def test_features_beyond_the_limit_are_made_again_least_recent_first() -> None:
    tower = FakeTower()
    cache = FeatureCache(tower.embed, limit_bytes=2 * images(1.0)[0].nbytes)
    cache(pixel_values=images(1.0, 2.0))
    cache(pixel_values=images(1.0))
    found = cache(pixel_values=images(3.0))
    assert float(found[0].mean()) == 3.0
    cache(pixel_values=images(1.0))
    assert tower.seen == 3
    cache(pixel_values=images(2.0))
    assert tower.seen == 4


def test_a_kept_slice_does_not_change_with_its_batch() -> None:
    tower = FakeTower()
    cache = FeatureCache(tower.embed)
    pixels = images(1.0, 2.0)
    first = cache(pixel_values=pixels)
    pixels *= 0.0
    assert float(cache(pixel_values=images(1.0))[0].mean()) == float(first[0].mean()) == 1.0


def test_inputs_that_are_not_by_image_pass_through() -> None:
    asked: list[dict[str, object]] = []

    def embed(**inputs: object) -> Sequence[Tensor]:
        asked.append(inputs)
        return [torch.zeros(1)]

    cache = FeatureCache(embed)
    cache(pixel_values=images(1.0, 2.0), sizes=[1])
    cache(pixel_values=images(1.0, 2.0), sizes=[1])
    assert len(asked) == 2
