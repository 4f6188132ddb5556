"""A model directory under examination: loaded as anyone would load it, asked through its chat template."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from bitloom.errors import CheckpointError

_CAPTION_TOKENS = 80

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class AskingStyle:
    """What a family is sent: the text around a question, and the text that asks for a caption."""

    question: str
    caption: str


ASKING_STYLES: Final = {
    "llava": AskingStyle(question="{}", caption="describe the image."),
    "blip-2": AskingStyle(question="Question: {} Answer:", caption="a photo of"),
}
"""By the `model_type` of the configuration."""


class Subject:
    """A loaded model with its processor; computes in float32 whatever its weights are stored in."""

    def __init__(self, directory: Path) -> None:
        """Load a model directory. Raises CheckpointError where it is missing or of an unknown family."""
        if not (directory / "config.json").is_file():
            raise CheckpointError(f"{directory}: no model directory (config.json is missing); train it first")
        self._processor: Any = AutoProcessor.from_pretrained(directory)
        model: Any = AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32)
        self._model = model.eval()
        family = self._model.config.model_type
        if family not in ASKING_STYLES:
            raise CheckpointError(f"{directory}: family {family!r}; expected {', '.join(ASKING_STYLES)}")
        self._style = ASKING_STYLES[family]

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str], batch: int = 64) -> list[str]:
        """The greedy answer to each question about each image."""
        prompts = [self._chat(self._style.question.format(question)) for question in questions]
        return self._generate(images, prompts, batch)

    def caption(self, images: Sequence[Image.Image], batch: int = 64) -> list[str]:
        """The greedy caption of each image."""
        return self._generate(images, [self._chat(self._style.caption)] * len(images), batch)

    def caption_scores(self, image: Image.Image, captions: Sequence[str]) -> torch.Tensor:
        """Log-likelihood of every caption given the image: float32 [captions]."""
        answers = [f" {caption}{self._processor.tokenizer.eos_token}" for caption in captions]
        return self._answer_scores(image, [self._chat(self._style.caption)] * len(captions), answers)

    def _chat(self, text: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": text}]
        prompt: str = self._processor.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        return prompt

    @torch.inference_mode()
    def _generate(self, images: Sequence[Image.Image], prompts: Sequence[str], batch: int) -> list[str]:
        texts: list[str] = []
        for some_images, some_prompts in zip(_batches(images, batch), _batches(prompts, batch), strict=True):
            inputs = self._processor(images=some_images, text=some_prompts, padding=True, return_tensors="pt")
            tokens = self._model.generate(**inputs, max_new_tokens=_CAPTION_TOKENS)
            new = tokens[:, inputs["input_ids"].shape[1] :]
            texts += [text.strip() for text in self._processor.batch_decode(new, skip_special_tokens=True)]
        return texts

    @torch.inference_mode()
    def _answer_scores(
        self, image: Image.Image, prompts: Sequence[str], answers: Sequence[str]
    ) -> torch.Tensor:
        rows, starts = [], []
        for prompt, answer in zip(prompts, answers, strict=True):
            inputs = self._processor(images=image, text=prompt, return_tensors="pt")
            prompt_ids = inputs["input_ids"][0].tolist()
            rows.append(prompt_ids + self._processor.tokenizer.encode(answer, add_special_tokens=False))
            starts.append(len(prompt_ids))
        length = max(len(row) for row in rows)
        padding = self._processor.tokenizer.pad_token_id
        tokens = torch.tensor([row + [padding] * (length - len(row)) for row in rows])
        is_text = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
        logits = self._model(
            input_ids=tokens,
            attention_mask=is_text,
            pixel_values=inputs["pixel_values"].expand(len(rows), -1, -1, -1),
        ).logits
        scores = logits[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
        is_answer = (torch.arange(1, length) >= torch.tensor(starts)[:, None]) & (is_text[:, 1:] == 1)
        summed: torch.Tensor = (scores * is_answer).sum(-1)
        return summed


def _batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
