"""vLLM on a mixed 2..8-bit variant computes what transformers computes on the dequantized weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from server.workers.command import WorkerOptions
from server.workers.transformers_worker.decoding import build_prompt
from server.workers.transformers_worker.loading import LoadedModel, load_model
from server.workers.transformers_worker.protocol import ChatRequest

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

MAX_DIFFERENCE = 1e-3
PROMPTS = {
    "llava": ("Describe the image.", "What color is the circle?", "How many shapes are there?"),
    "blip2": ("a photo of", "Question: What color is the circle? Answer:", "How many shapes are there?"),
}


def first_token(loaded: LoadedModel, messages: list[dict[str, Any]], image: Image.Image) -> torch.Tensor:
    """Log-probabilities [vocabulary] of the first token, by one forward pass of transformers."""
    request = ChatRequest.model_validate({"model": "mixed", "messages": messages})
    prompt = build_prompt(loaded, request, [image])
    with torch.inference_mode():
        logits = loaded.model(**prompt.inputs).logits[0, -1]
    return torch.log_softmax(logits.float(), dim=-1)


def stored_bits(directory: Path) -> set[int]:
    """Widths that the checkpoint's own quantization config names."""
    config = json.loads((directory / "config.json").read_text())
    groups = config["quantization_config"]["config_groups"].values()
    return {group["weights"]["num_bits"] for group in groups}


@pytest.mark.parametrize("family", ["llava", "blip2"])
def test_first_token_logprobs_equal_those_of_the_dequantized_weights(
    family: str,
    request: pytest.FixtureRequest,
    scenes: list[Image.Image],
    ask: Callable[[Image.Image, str], list[dict[str, Any]]],
) -> None:
    variant: Path = request.getfixturevalue(f"{family}_variant")
    worker = request.getfixturevalue(f"vllm_{family}")
    assert stored_bits(variant) == {2, 3, 4, 5, 6, 7, 8}
    loaded = load_model(variant, WorkerOptions(dtype="float32"))
    tops = set()
    for image in scenes:
        for text in PROMPTS[family]:
            messages = ask(image, text)
            expected = first_token(loaded, messages, image)
            answer = worker.chat(
                messages=messages,
                temperature=0,
                max_tokens=1,
                logprobs=True,
                top_logprobs=20,
                return_tokens_as_token_ids=True,
            )
            place = answer["choices"][0]["logprobs"]["content"][0]
            got = {int(each["token"].partition(":")[2]): each["logprob"] for each in place["top_logprobs"]}
            assert max(got, key=lambda token: got[token]) == int(expected.argmax())
            differences = [abs(logprob - float(expected[token])) for token, logprob in got.items()]
            assert max(differences) <= MAX_DIFFERENCE
            assert len(got) == 20
            tops.add(round(float(expected.max()), 4))
    assert len(tops) > len(scenes), "the prompts and images must matter"
