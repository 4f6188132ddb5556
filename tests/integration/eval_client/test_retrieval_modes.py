"""Retrieval by a matching head, by vectors, from a shortlist, and by likelihood without a prior."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitloom.errors import EndpointError, InputError
from bitloom.results import RunManifest
from eval_client.config import RunConfig
from eval_client.datasets import load_dataset
from eval_client.run.evaluation import evaluate
from eval_client.run.progress import SilentProgress

if TYPE_CHECKING:
    from tests.integration.eval_client.conftest import Asked, Served

UNITS = [[float(each == place) for each in range(4)] for place in range(4)]


class Matcher:
    """A model that knows which caption belongs to which image of the shard."""

    def __init__(self, config: RunConfig) -> None:
        shard = load_dataset(config.data, config.limits).shards[0]
        self.place = {image.read().sha256: place for place, image in enumerate(shard.images)}
        self.place |= {each.text: place for place, each in enumerate(shard.captions)}
        self.has_embeddings = True
        self.has_score = True
        self.is_wrong = False

    def pool(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The entry of a reply, or None where the model has no such route."""
        if path == "score" and self.has_score:
            place = self.place[sha256(body["text_2"]["content"][0])]
            is_match = self.place[body["text_1"]] == place
            return {"index": 0, "score": 4.0 if is_match is not self.is_wrong else -4.0}
        if path == "embeddings" and self.has_embeddings:
            part = body["messages"][0]["content"][0]
            if part["type"] == "text":
                return {"embedding": UNITS[self.place[part["text"]]]}
            # As BLIP-2 does: several vectors an image, of which one fits.
            return {"embedding": [[0.1, 0.1, 0.1, 0.1], UNITS[self.place[sha256(part)]]]}
        return None


def sha256(part: dict[str, Any]) -> str:
    content = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return hashlib.sha256(content).hexdigest()


async def run(out: Path, config: RunConfig) -> RunManifest:
    return await evaluate(config, out, SilentProgress())


def retrieval(served: Served, **settings: object) -> tuple[RunConfig, Matcher]:
    timed = {"timed_sequential": 0, "timed_loaded": 0}
    config = served.config(tasks=("retrieval",), is_explicit=True, **timed, **settings)
    matcher = Matcher(config)
    served.fake.pool = matcher.pool
    return config, matcher


def recall(manifest: RunManifest, name: str = "text_to_image_R@1") -> float:
    score = manifest.score(name)
    assert score is not None
    return score.value


async def test_a_matching_head_is_preferred(served: Served, tmp_path: Path) -> None:
    config, matcher = retrieval(served)
    good = await run(tmp_path / "good", config)
    assert good.plan.modes["retrieval"] == "image_text_matching"
    assert (recall(good), recall(good, "image_to_text_R@1"), good.requests) == (1.0, 1.0, 16)
    matcher.is_wrong = True
    assert recall(await run(tmp_path / "bad", config)) == 0.0


async def test_a_run_that_asks_for_no_answers_is_not_timed(served: Served, tmp_path: Path) -> None:
    config, _ = retrieval(served)
    manifest = await run(tmp_path / "run", config.model_copy(update={"timed_sequential": 2}))
    assert (manifest.latency, served.fake.asked) == ((), [])
    assert any("latency not measured" in note for note in manifest.notes)


async def test_vectors_cost_a_request_an_image_and_a_caption(served: Served, tmp_path: Path) -> None:
    config, _ = retrieval(served, retrieval_mode="embeddings")
    manifest = await run(tmp_path / "run", config)
    assert manifest.plan.modes["retrieval"] == "embeddings"
    assert (manifest.requests, recall(manifest), recall(manifest, "image_to_text_R@1")) == (8, 1.0, 1.0)


async def test_a_shortlist_bounds_the_pairs_that_are_asked(served: Served, tmp_path: Path) -> None:
    config, _ = retrieval(served, shortlist=1)
    manifest = await run(tmp_path / "run", config)
    assert manifest.plan.modes["retrieval_shortlist"] == "1"
    assert manifest.requests == 8 + 4
    assert (recall(manifest), recall(manifest, "image_to_text_R@1")) == (1.0, 1.0)
    assert served.fake.pooled.count("score") == 4 + 1  # and the probe


async def test_a_shortlist_needs_embeddings(served: Served, tmp_path: Path) -> None:
    config, matcher = retrieval(served, shortlist=1)
    matcher.has_embeddings = False
    with pytest.raises(InputError, match=r"shortlist 1: fake gives no embeddings .*http_4xx"):
        await run(tmp_path / "run", config)


async def test_a_mode_that_was_asked_for_is_not_replaced(served: Served, tmp_path: Path) -> None:
    config, matcher = retrieval(served, retrieval_mode="image_text_matching")
    matcher.has_score = False
    with pytest.raises(EndpointError, match=r"can score no pairs \(image_text_matching: http_4xx"):
        await run(tmp_path / "run", config)


async def test_the_prior_of_the_language_is_taken_off(served: Served, tmp_path: Path) -> None:
    """A model that likes one caption whatever it sees is right once what it likes is taken off."""
    config, matcher = retrieval(served, retrieval_mode="caption_likelihood")
    liked = load_dataset(config.data, config.limits).shards[0].captions[0].text

    def logprobs(asked: Asked) -> list[Any]:
        caption = asked.body["messages"][1]["content"]
        bonus = 3.0 if caption == liked else 0.0
        seen = matcher.place.get(asked.image_sha256)
        match = 1.0 if seen is not None and seen == matcher.place[caption] else 0.0
        return [None, {"1": {"logprob": -10 + bonus + match, "decoded_token": caption}}]

    served.fake.prompt_logprobs = logprobs
    plain = await run(tmp_path / "plain", config)
    assert recall(plain, "image_to_text_R@1") == 0.25
    corrected = config.model_copy(update={"prior_weight": 1.0})
    manifest = await run(tmp_path / "corrected", corrected)
    assert recall(manifest, "image_to_text_R@1") == 1.0
    assert manifest.requests == 16 + 4
    assert manifest.plan.modes["retrieval_prior_weight"] == "1.0"
