"""One answer's decoding, a forward pass a step, on the engine's thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from server.errors import BadRequest
from server.workers.transformers_worker.loading import LoadedModel
from server.workers.transformers_worker.protocol import ChatRequest
from server.workers.transformers_worker.sampling import Sampler, Sampling, Token, describe


@dataclass(frozen=True, slots=True)
class Prompt:
    """The processor's tensors, batch of one: `input_ids` [1, tokens], and pixels where there are images."""

    inputs: dict[str, Tensor]

    @property
    def token_ids(self) -> list[int]:
        """The prompt's tokens, image tokens included."""
        ids: list[int] = self.inputs["input_ids"][0].tolist()
        return ids


def build_prompt(loaded: LoadedModel, request: ChatRequest, images: Sequence[Image]) -> Prompt:
    """Apply the chat template and the processor; BadRequest where the prompt leaves no room to answer.

    The template writes every special token itself, so none is added (as in vLLM's chat API).
    """
    template = getattr(loaded.processor, "chat_template", None) or loaded.tokenizer.chat_template
    text = loaded.tokenizer.apply_chat_template(
        [message.template_form() for message in request.messages],
        chat_template=template,
        tokenize=False,
        add_generation_prompt=request.add_generation_prompt,
        continue_final_message=request.continue_final_message,
    )
    try:
        inputs = loaded.processor(
            images=list(images) or None, text=text, return_tensors="pt", add_special_tokens=False
        )
    except ValueError as exc:
        raise BadRequest(f"messages: {exc}", code="invalid_prompt", param="messages") from exc
    prompt = Prompt({name: tensor.to(loaded.device) for name, tensor in inputs.items()})
    if not 0 < len(prompt.token_ids) < loaded.context:
        raise BadRequest(
            f"messages: {len(prompt.token_ids)} tokens; the model's context holds {loaded.context}, "
            "the answer included; shorten them",
            code="context_length_exceeded",
            param="messages",
        )
    return prompt


class Decoding:
    """The state of one answer: the cache, the sampler, and the tokens so far.

    `top_prompt` asks for the prompt's own log-probabilities, with as many alternatives a token.
    """

    def __init__(
        self, loaded: LoadedModel, prompt: Prompt, sampling: Sampling, top_prompt: int | None
    ) -> None:
        self._loaded = loaded
        self._prompt = prompt
        self._sampler = Sampler(sampling)
        self._top_prompt = top_prompt
        self._cache: Any = None
        self._length = len(prompt.token_ids)
        self._last = -1
        self.prompt_tokens: tuple[Token | None, ...] | None = None

    @torch.inference_mode()
    def step(self) -> Token:
        """The next token: the first call reads the prompt, each further one the token before."""
        logits = self._read_prompt() if self._cache is None else self._read_token()
        token = self._sampler.choose(logits)
        self._last = token.id
        self._length += 1
        return token

    def _read_prompt(self) -> Tensor:
        has_images = "pixel_values" in self._prompt.inputs
        reader = self._loaded.model if has_images else self._loaded.decoder
        inputs = dict(self._prompt.inputs)
        if has_images:
            inputs["pixel_values"] = inputs["pixel_values"].to(self._loaded.model.dtype)
        output = reader(**inputs, use_cache=True)
        language = getattr(output, "language_model_outputs", None)
        self._cache = (output if language is None else language).past_key_values
        logits: Tensor = output.logits[0]
        if self._top_prompt is not None:
            self.prompt_tokens = _prompt_tokens(logits, self._prompt.token_ids, self._top_prompt)
        return logits[-1]

    def _read_token(self) -> Tensor:
        device = self._loaded.device
        output = self._loaded.decoder(
            input_ids=torch.tensor([[self._last]], device=device),
            attention_mask=torch.ones(1, self._length, dtype=torch.long, device=device),
            past_key_values=self._cache,
            use_cache=True,
        )
        logits: Tensor = output.logits[0, -1]
        return logits


def _prompt_tokens(logits: Tensor, token_ids: list[int], count: int) -> tuple[Token | None, ...]:
    """Each prompt token with its log-probability given those before; None for the first."""
    logprobs = torch.log_softmax(logits[:-1].float().cpu(), dim=-1)
    rest = (describe(row, token, count) for row, token in zip(logprobs, token_ids[1:], strict=True))
    return (None, *rest)
