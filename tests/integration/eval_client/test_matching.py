"""BLIP-2's retrieval through `bitloom serve`: a shortlist by vectors, ranked again by the matching head."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval_client.config import RunConfig
from eval_client.datasets import load_dataset
from eval_client.run.evaluation import evaluate
from eval_client.run.journal import read_records
from eval_client.run.progress import SilentProgress
from server.workers.command import WorkerOptions
from server.workers.transformers_worker.loading import LoadedModel, load_model
from server.workers.transformers_worker.matching import Matching
from tests.models.matcher import write_matcher

# A worker that loads torch on a busy machine takes minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
IMAGES, SHORTLIST = 6, 2


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_matcher(tmp_path_factory.mktemp("matcher"))


@pytest.fixture(scope="module")
def endpoint(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`bitloom serve` as users start it: no engine is named."""
    log = (tmp_path_factory.mktemp("log") / "gateway.log").open("w+")
    argv = [sys.executable, "-m", "bitloom", "serve", f"matcher={checkpoint}", "--port", "0"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ})
    assert process.stdout is not None
    try:
        found = re.search(r"ready on (http://\S+)/v1", process.stdout.readline())
        log.seek(0)
        assert found, log.read()
        yield found[1]
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()
        log.close()


def config_for(endpoint: str, **settings: object) -> RunConfig:
    fixed = {"endpoint": endpoint, "model": "matcher", "data": "scenes:test", "tasks": ("retrieval",)}
    small = {"retrieval": IMAGES, "shard": IMAGES, "concurrency": 3, "is_explicit": True}
    return RunConfig.model_validate({**fixed, **small, **settings})


async def test_a_shortlist_is_ranked_again_by_the_matching_head(
    endpoint: str, checkpoint: Path, tmp_path: Path
) -> None:
    config = config_for(endpoint, shortlist=SHORTLIST)
    manifest = await evaluate(config, tmp_path, SilentProgress())
    assert manifest.plan.modes["retrieval"] == "image_text_matching"
    assert manifest.plan.modes["retrieval_shortlist"] == str(SHORTLIST)
    assert (manifest.failed, manifest.latency) == (0, ())
    assert any("latency not measured" in note for note in manifest.notes)
    own = expected(load_model(checkpoint, WorkerOptions()), config)
    records = [each for each in read_records(tmp_path / "samples.jsonl") if each.scorer is None]
    asked = {(each.image_id, each.caption_id or ""): each.score for each in records}
    assert set(asked) == shortlist(own)
    assert len(asked) < IMAGES * IMAGES
    for pair, score in asked.items():
        assert score == pytest.approx(own[pair][1], abs=1e-5)
    assert manifest.score("text_to_image_R@1") is not None


def expected(loaded: LoadedModel, config: RunConfig) -> dict[tuple[str, str], tuple[float, float]]:
    """Cosine of the nearest query, and the head's probability, of every pair, without any HTTP."""
    matching = Matching(loaded)
    shard = load_dataset(config.data, config.limits).shards[0]
    found = {}
    for image in shard.images:
        seen = matching.see(image.read().decode())
        rows = matching.image_vectors(seen).rows
        for candidate in shard.captions:
            ids = matching.read(candidate.text)
            nearest = float((rows @ matching.text_vector(ids).rows.T).max())
            found[image.image_id, candidate.caption_id] = nearest, matching.probability(seen, ids)
    return found


def shortlist(own: dict[tuple[str, str], tuple[float, float]]) -> set[tuple[str, str]]:
    """Pairs in which one is among the other's nearest."""
    kept = set()
    for side in (0, 1):
        for name in {pair[side] for pair in own}:
            members = sorted((pair for pair in own if pair[side] == name), key=lambda pair: -own[pair][0])
            kept |= set(members[:SHORTLIST])
    return kept
