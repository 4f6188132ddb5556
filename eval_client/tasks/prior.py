"""How likely captions are by themselves: asked about a grey picture, once a caption."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from PIL import Image

from eval_client.datasets import Dataset
from eval_client.images import EncodedImage, encode_png
from eval_client.prompts import PromptSet
from eval_client.tasks.pair_scores import PRIOR
from eval_client.tasks.samples import Sample, pair_sample

GREY, SIDE = (127, 127, 127), 224


@dataclass(frozen=True, slots=True)
class GreyImage:
    """A picture of nothing."""

    image_id: str = "grey"

    def read(self) -> EncodedImage:
        """224 x 224 pixels of one grey."""
        return _grey()


@cache
def _grey() -> EncodedImage:
    return encode_png(Image.new("RGB", (SIDE, SIDE), GREY))


def prior_samples(dataset: Dataset, prompts: PromptSet, weight: float) -> Iterator[Sample]:
    """One sample a caption of any shard; it names the weight with which its score is taken off."""
    candidates = {each.caption_id: each for shard in dataset.shards for each in shard.captions}
    for name, candidate in candidates.items():
        pair = pair_sample(GreyImage(), candidate, prompts, "caption_likelihood")
        yield replace(pair, sample_id=f"retrieval/prior/{name}", scorer=f"{PRIOR}{weight}")
