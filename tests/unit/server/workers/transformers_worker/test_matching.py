"""Scores and embeddings of a matching model over ASGI: those of transformers' own forward pass."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
import torch
from openai import AsyncOpenAI
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from server.workers.command import WorkerOptions
from server.workers.transformers_worker.app import create_app
from server.workers.transformers_worker.engine import Engine
from server.workers.transformers_worker.loading import LoadedModel, load_model
from tests.models.matcher import BEYOND, write_matcher

TEXTS = ("a red circle .", "two blue squares left of a green triangle", "no")
QUERIES = 32


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(write_matcher(tmp_path_factory.mktemp("matcher")), WorkerOptions())


@pytest.fixture
async def client(matcher: LoadedModel) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(matcher, WorkerOptions(max_images=2)) as opened:
        yield opened


class serving:
    """A client for the worker's app, whose engine is closed with it."""

    def __init__(self, loaded: LoadedModel, options: WorkerOptions) -> None:
        self._engine = Engine(loaded, options)
        transport = httpx.ASGITransport(create_app("tiny", self._engine))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://worker")

    async def __aenter__(self) -> httpx.AsyncClient:
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        self._engine.close()


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 40, 3), dtype=np.uint8))


def part(seed: int) -> dict[str, Any]:
    content = io.BytesIO()
    noise(seed).save(content, "PNG")
    url = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def item(seed: int) -> dict[str, Any]:
    return {"content": [part(seed)]}


async def post(client: httpx.AsyncClient, path: str, **fields: Any) -> dict[str, Any]:
    response = await client.post(path, json={"model": "tiny", **fields})
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


async def scores(client: httpx.AsyncClient, **fields: Any) -> list[float]:
    return [entry["score"] for entry in (await post(client, "/v1/score", **fields))["data"]]


def message(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [content]}]


def forward(loaded: LoadedModel, seed: int, text: str, *, head: bool) -> Any:
    inputs = loaded.processor(images=noise(seed), text=text, return_tensors="pt")
    with torch.inference_mode():
        return loaded.model(**inputs, use_image_text_matching_head=head)


async def test_scores_are_those_of_the_models_own_forward_pass(
    client: httpx.AsyncClient, matcher: LoadedModel
) -> None:
    for seed in (1, 2):
        given = await scores(client, text_1=list(TEXTS), text_2=item(seed))
        logits = [forward(matcher, seed, text, head=True).logits_per_image for text in TEXTS]
        expected = [float(each.softmax(dim=1)[0, 1]) for each in logits]
        assert given == pytest.approx(expected, abs=1e-5)
        assert max(given) - min(given) > 1e-3  # the text matters, so that equality says something


async def test_embeddings_are_those_of_the_models_own_forward_pass(
    client: httpx.AsyncClient, matcher: LoadedModel
) -> None:
    seen = np.array(await embedded(client, part(1)))
    assert seen.shape == (QUERIES, 128)
    for text in TEXTS:
        own = forward(matcher, 1, text, head=False)
        read = np.array(await embedded(client, {"type": "text", "text": text}))
        assert seen == pytest.approx(own.image_embeds[0].numpy(), abs=1e-5)
        assert read == pytest.approx(own.text_embeds[0].numpy(), abs=1e-5)
        assert (seen @ read).max() == pytest.approx(float(own.logits_per_image[0, 0]), abs=1e-5)


async def embedded(client: httpx.AsyncClient, content: dict[str, Any]) -> Any:
    document = await post(client, "/v1/embeddings", messages=message(content), encoding_format="float")
    return document["data"][0]["embedding"]


async def test_half_precision_checkpoints_are_served_as_they_are(tmp_path: Path) -> None:
    loaded = load_model(write_matcher(tmp_path, torch.bfloat16), WorkerOptions())
    own = float(forward(loaded, 1, TEXTS[0], head=True).logits_per_image.float().softmax(dim=1)[0, 1])
    async with serving(loaded, WorkerOptions()) as client:
        assert await scores(client, text_1=TEXTS[0], text_2=item(1)) == pytest.approx([own], abs=5e-3)


async def test_pairs_may_stand_either_way_and_in_lists(client: httpx.AsyncClient) -> None:
    one = await scores(client, text_1=TEXTS[0], text_2=item(1))
    other = await scores(client, text_1=TEXTS[1], text_2=item(2))
    assert await scores(client, text_1=item(1), text_2=TEXTS[0]) == one
    assert await scores(client, text_1=list(TEXTS[:2]), text_2=[item(1), item(2)]) == [*one, *other]
    assert (await scores(client, text_1=TEXTS[0], text_2=[item(1), item(2)]))[0] == one[0]
    as_parts = [{"content": [{"type": "text", "text": text}]} for text in TEXTS[:2]]
    assert await scores(client, text_1=as_parts, text_2=[item(1), item(2)]) == [*one, *other]


async def test_the_usage_counts_texts_and_queries(client: httpx.AsyncClient, matcher: LoadedModel) -> None:
    length = len(matcher.tokenizer(TEXTS[0])["input_ids"])
    pair = await post(client, "/v1/score", text_1=TEXTS[0], text_2=item(1))
    text = await post(client, "/v1/embeddings", input=TEXTS[0])
    image = await post(client, "/v1/embeddings", messages=message(part(1)))
    counts = [document["usage"]["prompt_tokens"] for document in (pair, text, image)]
    assert counts == [length + QUERIES, length, QUERIES]
    families = text_string_to_metric_families((await client.get("/metrics")).text)
    samples = {sample.name: sample.value for family in families for sample in family.samples}
    assert samples["bitloom_worker_prompt_tokens_total"] == sum(counts)
    assert samples["bitloom_worker_requests_total"] == 3
    assert samples["bitloom_worker_requests_running"] == 0


async def test_openais_client_gets_text_embeddings(client: httpx.AsyncClient) -> None:
    """It asks for base64 unless told otherwise."""
    openai = AsyncOpenAI(base_url="http://worker/v1", api_key="none", http_client=client)
    given = await openai.embeddings.create(model="tiny", input=list(TEXTS))
    assert [entry.index for entry in given.data] == [0, 1, 2]
    expected = [await embedded(client, {"type": "text", "text": text}) for text in TEXTS]
    assert np.array([entry.embedding for entry in given.data]) == pytest.approx(np.array(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/v1/score", {"text_1": "a"}, "text_2"),
        ("/v1/score", {"text_1": "a", "text_2": "b"}, "text_2"),
        ("/v1/score", {"text_1": item(1), "text_2": item(2)}, "text_2"),
        ("/v1/score", {"text_1": [], "text_2": item(2)}, "text_1"),
        ("/v1/score", {"text_1": ["a", "b"], "text_2": [item(1)] * 3}, "text_2"),
        ("/v1/score", {"text_1": "a", "text_2": [item(1), item(2), item(3)]}, "text_2"),
        ("/v1/score", {"text_1": "a", "text_2": {"content": [part(1), part(2)]}}, "text_2"),
        ("/v1/score", {"text_1": "word " * 2000, "text_2": item(1)}, None),
        ("/v1/score", {"text_1": BEYOND, "text_2": item(1)}, None),
        ("/v1/score", {"text_1": "a", "text_2": {"content": [{"type": "image_url"}]}}, "text_2"),
        ("/v1/embeddings", {}, "input"),
        ("/v1/embeddings", {"input": "a", "messages": message(part(1))}, "input"),
        ("/v1/embeddings", {"input": [1, 2]}, "input"),
        ("/v1/embeddings", {"input": "a", "dimensions": 8}, "dimensions"),
        ("/v1/embeddings", {"messages": [{"role": "user", "content": [part(1), part(2)]}]}, "messages"),
        ("/v1/embeddings", {"messages": message(part(1)), "encoding_format": "base64"}, "encoding_format"),
        ("/v1/embeddings", {"messages": message({"type": "video_url"})}, "messages"),
        ("/v1/chat/completions", {"messages": message(part(1))}, "model"),
    ],
)
async def test_what_cannot_be_matched_is_refused_by_name(
    client: httpx.AsyncClient, path: str, fields: dict[str, Any], param: str | None
) -> None:
    response = await client.post(path, json={"model": "tiny", **fields})
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error")


async def test_an_unknown_model_and_a_broken_image_are_refused(client: httpx.AsyncClient) -> None:
    body = {"model": "other", "text_1": "a", "text_2": item(1)}
    assert (await client.post("/v1/score", json=body)).status_code == 404
    torn = {"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}
    response = await client.post("/v1/score", json={**body, "model": "tiny", "text_2": torn})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_image")


async def test_a_model_that_answers_has_neither(loaded: LoadedModel) -> None:
    async with serving(loaded, WorkerOptions()) as client:
        for path in ("/v1/score", "/v1/embeddings"):
            response = await client.post(path, json={"model": "tiny", "input": "a"})
            assert (response.status_code, response.json()["error"]["code"]) == (404, "not_served")
