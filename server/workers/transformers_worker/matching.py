"""Image-text matching with BLIP-2's Q-Former, a step at a time, on the engine's thread.

The same parts in the same order as `Blip2ForImageTextRetrieval.forward`, which wants an image and a text in
every call and looks at the image anew for each text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn

from server.errors import BadRequest
from server.workers.transformers_worker.loading import LoadedModel


@dataclass(frozen=True, slots=True)
class Vectors:
    """Rows of length 1 [rows, width]: an image has one a query, a text one. `tokens` were read for them."""

    rows: Tensor
    tokens: int


class Matching:
    """What a matching model can tell of images and texts."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._model: Any = loaded.model
        self.queries: int = self._model.query_tokens.shape[1]

    @torch.inference_mode()
    def see(self, image: Image) -> Tensor:
        """What the vision tower makes of an image [1, patches + 1, width]."""
        pixels = self._loaded.processor.image_processor(image, return_tensors="pt")["pixel_values"]
        weights = next(self._model.vision_model.parameters())  # the Q-Former's may be of another dtype
        seen: Tensor = self._model.vision_model(pixels.to(weights.device, weights.dtype)).last_hidden_state
        return seen

    def read(self, text: str) -> Tensor:
        """Token ids [1, tokens]; BadRequest for a text that is too long, or is no text to this model."""
        ids: Tensor = self._loaded.tokenizer(text, return_tensors="pt")["input_ids"]
        if not 0 < ids.shape[1] <= self._loaded.context:
            raise BadRequest(
                f"a text of {ids.shape[1]} tokens; this model reads 1 to {self._loaded.context}; "
                "send another text",
                code="context_length_exceeded",
            )
        if int(ids.max()) >= self._model.embeddings.word_embeddings.num_embeddings:
            raise BadRequest(
                "a text holds a token that the model does not know, such as the image's own; leave it out",
                code="invalid_prompt",
            )
        return ids.to(self._loaded.device)

    @torch.inference_mode()
    def probability(self, seen: Tensor, ids: Tensor) -> float:
        """Of the matching head (ITM): that the text describes the image.

        Softmax in double precision: in single, good pairs would tie at 1.
        """
        hidden = self._read_with_queries(seen, ids)
        head = self._model.itm_head
        logits = head(hidden[:, : self.queries].to(head.weight.dtype)).mean(dim=1)
        return float(torch.softmax(logits.double(), dim=1)[0, 1])

    @torch.inference_mode()
    def image_vectors(self, seen: Tensor) -> Vectors:
        """One vector a query (ITC); the nearest of them counts."""
        hidden = self._model.qformer(
            query_embeds=self._model.query_tokens,
            encoder_hidden_states=seen,
            encoder_attention_mask=_whole(seen),
        ).last_hidden_state
        return Vectors(_projected(self._model.vision_projection, hidden[0]), self.queries)

    @torch.inference_mode()
    def text_vector(self, ids: Tensor) -> Vectors:
        """One vector, of the text's first token (ITC)."""
        hidden = self._model.qformer(
            query_embeds=self._model.embeddings(input_ids=ids), query_length=0, attention_mask=_whole(ids)
        ).last_hidden_state
        return Vectors(_projected(self._model.text_projection, hidden[0, :1]), ids.shape[1])

    def _read_with_queries(self, seen: Tensor, ids: Tensor) -> Tensor:
        embedded = self._model.embeddings(input_ids=ids, query_embeds=self._model.query_tokens)
        hidden: Tensor = self._model.qformer(
            query_embeds=embedded,
            query_length=self.queries,
            attention_mask=_whole(embedded),
            encoder_hidden_states=seen,
            encoder_attention_mask=_whole(seen),
        ).last_hidden_state
        return hidden


def _whole(sequence: Tensor) -> Tensor:
    """The mask [1, length] that hides nothing."""
    return torch.ones(sequence.shape[:2], dtype=torch.long, device=sequence.device)


def _projected(projection: nn.Linear, hidden: Tensor) -> Tensor:
    rows: Tensor = nn.functional.normalize(projection(hidden.to(projection.weight.dtype)), dim=-1)
    return rows.float().cpu()
