"""Calibration samples as the model's own processor encodes them, in batches without padding.

Samples whose tensors have equal shapes form a batch, so nothing needs padding; where a processor pads
by itself, its attention mask gives those tokens the weight 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoProcessor

from bitloom.errors import CheckpointError, DataError
from quantize.calibration.samples import ImageTextSample

BATCH_SAMPLES = 8
_NO_IMAGE_TOKEN = -1
# For processors without a chat template: how the family was trained to be asked.
_PLAIN_PROMPTS = {"caption": "a photo of {answer}", "question": "Question: {prompt} Answer: {answer}"}


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs of the model's forward; `token_weights` [samples, tokens] float32, 0 for padding."""

    names: tuple[str, ...]
    inputs: dict[str, Tensor]
    token_weights: Tensor
    is_held_out: bool


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """How much a vision token and a text token of the language model's input count."""

    vision: float = 1.0
    text: float = 1.0


def make_batches(
    directory: Path,
    config: Mapping[str, Any],
    samples: Sequence[ImageTextSample],
    weights: TokenWeights,
    *,
    held_out: int,
    has_language: bool = True,
) -> tuple[Batch, ...]:
    """Encode samples with the processor in `directory`; the last `held_out` are not learnt from.

    Without a language model a sample is a picture and a text about it, and there are no image tokens.

    Raises CheckpointError where the processor does not load, DataError where it refuses a sample.
    """
    try:
        processor = AutoProcessor.from_pretrained(directory)
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"{directory}: its processor does not load ({exc})") from exc
    image_token = config.get("image_token_index", config.get("image_token_id"))
    if not has_language:
        image_token = _NO_IMAGE_TOKEN
    elif not isinstance(image_token, int):
        raise CheckpointError(f"{directory}/config.json: no image_token_index")
    learnt = len(samples) - held_out
    batches = []
    for part, is_held_out in ((samples[:learnt], False), (samples[learnt:], True)):
        encoded = [(sample.name, _encode(processor, sample, image_token)) for sample in part]
        for group in _equal_shapes(encoded):
            batches.append(_collate(group, image_token, weights, is_held_out=is_held_out))
    return tuple(batches)


def _encode(processor: Any, sample: ImageTextSample, image_token: int) -> dict[str, Tensor]:
    try:
        if image_token == _NO_IMAGE_TOKEN:
            return _encode_pair(processor, sample)
        if processor.chat_template is None:
            return _encode_plainly(processor, sample, image_token)
        asked = [{"type": "image", "image": sample.image}, {"type": "text", "text": sample.prompt}]
        messages = [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": [{"type": "text", "text": sample.answer}]},
        ]
        encoded = processor.apply_chat_template(
            messages, tokenize=True, return_dict=True, return_tensors="pt"
        )
    except (ValueError, TypeError, OSError) as exc:
        raise DataError(f"{sample.name}: the model's processor refuses this sample ({exc})") from exc
    return dict(encoded)


def _encode_pair(processor: Any, sample: ImageTextSample) -> dict[str, Tensor]:
    """A picture and a text about it: the caption, or the question with its answer."""
    text = sample.answer if sample.kind == "caption" else f"{sample.prompt} {sample.answer}"
    encoded = processor.tokenizer(text, return_tensors="pt")
    pixels = processor.image_processor(sample.image, return_tensors="pt")["pixel_values"]
    return {
        "input_ids": encoded["input_ids"],
        "attention_mask": encoded["attention_mask"],
        "pixel_values": pixels,
    }


def _encode_plainly(processor: Any, sample: ImageTextSample, image_token: int) -> dict[str, Tensor]:
    """What Blip2Processor makes of a picture and a text: the image tokens stand before the text.

    Its own call fails in transformers 5.19 where the saved tokenizer knows the image token already.
    """
    text = _PLAIN_PROMPTS[sample.kind].format(prompt=sample.prompt, answer=sample.answer)
    ids = [image_token] * processor.num_query_tokens + processor.tokenizer(text).input_ids
    pixels = processor.image_processor(sample.image, return_tensors="pt")["pixel_values"]
    tokens = torch.tensor([ids])
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "pixel_values": pixels}


def _equal_shapes(
    encoded: Sequence[tuple[str, dict[str, Tensor]]],
) -> list[list[tuple[str, dict[str, Tensor]]]]:
    buckets: dict[tuple[Any, ...], list[tuple[str, dict[str, Tensor]]]] = {}
    for name, tensors in encoded:
        shapes = tuple(sorted((key, tuple(tensor.shape)) for key, tensor in tensors.items()))
        buckets.setdefault(shapes, []).append((name, tensors))
    return [
        bucket[start : start + BATCH_SAMPLES]
        for bucket in buckets.values()
        for start in range(0, len(bucket), BATCH_SAMPLES)
    ]


def _collate(
    group: Sequence[tuple[str, dict[str, Tensor]]],
    image_token: int,
    weights: TokenWeights,
    *,
    is_held_out: bool,
) -> Batch:
    inputs = {key: torch.cat([tensors[key] for _, tensors in group]) for key in group[0][1]}
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    kinds = torch.where(ids == image_token, weights.vision, weights.text)
    return Batch(
        names=tuple(name for name, _ in group),
        inputs=inputs,
        token_weights=(kinds * mask).to(torch.float32),
        is_held_out=is_held_out,
    )
