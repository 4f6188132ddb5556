"""Packing: one image and many independent exchanges about it in one sequence.

    position   0 .. P-1         P ..            P ..
    segment    0  (image)       1 (exchange)    2 (exchange)   ...   -1 (padding)

Every token attends to the image and to earlier tokens of its own segment, and every segment starts at
position P, so the model sees each exchange as if it stood alone after the image.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import torch
from tokenizers import Tokenizer

from zoo.train.prompts import PromptFormat
from zoo.train.tokenizer import END_ID, IMAGE_ID, PAD_ID

IGNORED: Final = -100
_MULTIPLE = 8
_MASKED = -1e4


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt, the answer to learn, and how much each token of the answer counts."""

    prompt: str
    answer: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Packed:
    """A batch of packed sequences; every tensor is [batch, length].

    `labels[b, t]` is the token that should follow token t, or IGNORED.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    segments: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor

    def attention_mask(self) -> torch.Tensor:
        """What is added to the attention scores: float32 [batch, 1, length, length]."""
        length = self.segments.shape[1]
        query, key = self.segments[:, :, None], self.segments[:, None, :]
        is_visible = ((query == key) | (key == 0)) & torch.ones(length, length, dtype=torch.bool).tril()
        mask = torch.zeros(is_visible.shape).masked_fill_(~is_visible, _MASKED)
        return mask[:, None]


class Packer:
    """Turns exchanges into packed batches of token ids."""

    def __init__(self, tokenizer: Tokenizer, prompts: PromptFormat, image_tokens: int) -> None:
        def encode(text: str) -> list[int]:
            ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
            return ids

        self._encode = cache(encode)
        self.prefix = [
            *encode(prompts.before_image),
            *[IMAGE_ID] * image_tokens,
            *encode(prompts.after_image),
        ]

    def pack(self, batch: Sequence[Sequence[Exchange]], row_tokens: int | None = None) -> Packed:
        """One row for each image's exchanges, padded on the right to a multiple of eight.

        Exchanges that no longer fit into `row_tokens` are left out.
        """
        rows = [self._row(exchanges, row_tokens or sys.maxsize) for exchanges in batch]
        length = max(len(row[0]) for row in rows)
        length += -length % _MULTIPLE
        columns = []
        for column, (padding, dtype) in enumerate(_PADDING):
            padded = [row[column] + [padding] * (length - len(row[column])) for row in rows]
            columns.append(torch.tensor(padded, dtype=dtype))
        return Packed(*columns)

    def _row(self, exchanges: Sequence[Exchange], row_tokens: int) -> tuple[list[float], ...]:
        """The five columns of `Packed` for one image, unpadded."""
        start = len(self.prefix)
        tokens: list[float] = list(self.prefix)
        positions: list[float] = list(range(start))
        segments, labels, weights = [0.0] * start, [float(IGNORED)] * start, [0.0] * start
        number = 0
        for exchange in exchanges:
            prompt = self._encode(exchange.prompt)
            answer = [*self._encode(" " + exchange.answer), END_ID]
            length = len(prompt) + len(answer)
            if len(tokens) + length > row_tokens:
                continue
            number += 1
            tokens += prompt + answer
            positions += range(start, start + length)
            segments += [number] * length
            labels += [IGNORED] * (len(prompt) - 1) + answer + [IGNORED]
            weights += [exchange.weight] * length
        return tokens, positions, segments, labels, weights


_PADDING = (
    (PAD_ID, torch.int64),
    (0, torch.int64),
    (-1, torch.int64),
    (IGNORED, torch.int64),
    (0, torch.float32),
)
