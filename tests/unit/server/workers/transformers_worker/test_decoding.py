"""Decoding a token at a time gives what the model's own `generate` and one whole forward pass give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from server.errors import BadRequest
from server.workers.transformers_worker.decoding import Decoding, Prompt, build_prompt
from server.workers.transformers_worker.loading import LoadedModel
from server.workers.transformers_worker.protocol import ChatRequest
from server.workers.transformers_worker.sampling import Sampling, Token

GREEDY = Sampling(temperature=0, top_logprobs=3)


def image_of(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8))


def prompt_of(loaded: LoadedModel, text: str, *images: Image.Image, **fields: Any) -> Prompt:
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": ""}} for _ in images]
    content = [*parts, {"type": "text", "text": text}]
    messages = [{"role": "user", "content": content}]
    request = ChatRequest.model_validate({"model": "m", "messages": messages, **fields})
    return build_prompt(loaded, request, images)


def greedy(loaded: LoadedModel, prompt: Prompt, count: int) -> list[Token]:
    decoding = Decoding(loaded, prompt, GREEDY, None)
    return [decoding.step() for _ in range(count)]


@pytest.mark.parametrize("images", [(), (image_of(0),)])
def test_tokens_are_those_of_generate(loaded: LoadedModel, images: tuple[Image.Image, ...]) -> None:
    prompt = prompt_of(loaded, "what", *images)
    whole = loaded.model.generate(
        **prompt.inputs, do_sample=False, max_new_tokens=12, min_new_tokens=12, eos_token_id=None
    )
    assert [token.id for token in greedy(loaded, prompt, 12)] == whole[0, -12:].tolist()


def test_the_image_changes_the_answer(loaded: LoadedModel) -> None:
    first, second = (greedy(loaded, prompt_of(loaded, "what", image_of(seed)), 12) for seed in (0, 1))
    assert first != second


def test_logprobs_are_those_of_one_forward_pass(loaded: LoadedModel) -> None:
    prompt = prompt_of(loaded, "what", image_of(0))
    decoding = Decoding(loaded, prompt, GREEDY, 2)
    answer = [decoding.step() for _ in range(4)]
    ids = torch.tensor([prompt.token_ids + [token.id for token in answer]])
    with torch.no_grad():
        logits = loaded.model(input_ids=ids, pixel_values=prompt.inputs["pixel_values"]).logits[0]
    expected = torch.log_softmax(logits.float(), dim=-1)
    for place, token in enumerate(answer, start=len(prompt.token_ids) - 1):
        assert token.logprob == pytest.approx(float(expected[place, token.id]), abs=1e-4)
        assert [each for each, _ in token.top] == expected[place].topk(3).indices.tolist()
    assert decoding.prompt_tokens is not None
    assert decoding.prompt_tokens[0] is None
    assert len(decoding.prompt_tokens) == len(prompt.token_ids)
    for place, described in enumerate(decoding.prompt_tokens[1:]):
        assert described is not None
        assert described.id == prompt.token_ids[place + 1]
        assert described.logprob == pytest.approx(float(expected[place, described.id]), abs=1e-4)
        assert len(described.top) == 2


def test_the_template_writes_the_special_tokens(loaded: LoadedModel) -> None:
    ids = prompt_of(loaded, "hi", image_of(0)).token_ids
    assert ids.count(loaded.model.config.image_token_index) == 4
    assert loaded.tokenizer.decode(ids) == "<image>" * 4 + "hi:"


def test_a_begun_answer_is_continued(loaded: LoadedModel) -> None:
    fields = {"add_generation_prompt": False, "continue_final_message": True}
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    request = ChatRequest.model_validate({"model": "m", "messages": messages, **fields})
    assert loaded.tokenizer.decode(build_prompt(loaded, request, []).token_ids) == "qa"


def test_a_prompt_that_fills_the_context_is_refused(loaded: LoadedModel) -> None:
    size = loaded.context
    assert len(prompt_of(loaded, "x" * (size - 2)).token_ids) == size - 1
    with pytest.raises(BadRequest, match=f"{size} tokens; the model's context holds {size}"):
        prompt_of(loaded, "x" * (size - 1))
