"""tiny-blip2: Blip2 vision model, Q-Former, OPT."""

import torch
from torch import nn
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    OPTConfig,
)

from zoo.scenes import IMAGE_SIDE
from zoo.train.packing import Packed
from zoo.train.probe import Probe, patch_pooling, query_pooling
from zoo.train.prompts import BLIP2_PROMPTS
from zoo.train.student import Parameters, View
from zoo.train.tokenizer import END_ID, IMAGE_ID, PAD_ID, VOCABULARY_SIZE

PATCH = 8
QUERIES = 32

_VISION_WIDTH = 128
_LANGUAGE_WIDTH = 256
_QUERY_SPREAD = 0.5


def blip2_config() -> Blip2Config:
    """Widths are multiples of 128, heads 32 wide (vision, Q-Former) or 64 (language)."""
    return Blip2Config(
        vision_config=Blip2VisionConfig(
            hidden_size=_VISION_WIDTH,
            intermediate_size=4 * _VISION_WIDTH,
            num_hidden_layers=4,
            num_attention_heads=_VISION_WIDTH // 32,
            image_size=IMAGE_SIDE,
            patch_size=PATCH,
            initializer_range=0.02,
        ),
        qformer_config=Blip2QFormerConfig(
            vocab_size=VOCABULARY_SIZE,
            hidden_size=_VISION_WIDTH,
            encoder_hidden_size=_VISION_WIDTH,
            intermediate_size=4 * _VISION_WIDTH,
            num_hidden_layers=4,
            num_attention_heads=_VISION_WIDTH // 32,
            cross_attention_frequency=2,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=PAD_ID,
        ),
        text_config=OPTConfig(
            vocab_size=VOCABULARY_SIZE,
            hidden_size=_LANGUAGE_WIDTH,
            word_embed_proj_dim=_LANGUAGE_WIDTH,
            ffn_dim=2 * _LANGUAGE_WIDTH,
            num_hidden_layers=4,
            num_attention_heads=_LANGUAGE_WIDTH // 64,
            max_position_embeddings=512,
            dropout=0.0,
            bos_token_id=END_ID,
            eos_token_id=END_ID,
            pad_token_id=PAD_ID,
        ),
        num_query_tokens=QUERIES,
        image_token_index=IMAGE_ID,
        image_text_hidden_size=_VISION_WIDTH,
    )


class Blip2Student:
    """BLIP-2 in training; its views of the image are the patches and the Q-Former's queries."""

    prompts = BLIP2_PROMPTS
    image_tokens = QUERIES

    def __init__(self) -> None:
        self.model = Blip2ForConditionalGeneration(blip2_config())
        self.model.set_attn_implementation("sdpa")
        # transformers initialises every query to zero; equal queries would stay equal for ever
        nn.init.normal_(self.model.query_tokens, std=_QUERY_SPREAD)
        self.probes = [
            Probe(_VISION_WIDTH, patch_pooling(IMAGE_SIDE // PATCH)),
            Probe(_VISION_WIDTH, query_pooling(QUERIES)),
        ]
        self._opt = self.model.language_model.model

    @property
    def vision(self) -> nn.Module:
        """The vision tower."""
        tower: nn.Module = self.model.vision_model
        return tower

    @property
    def query_former(self) -> list[nn.Module]:
        """The queries and the Q-Former."""
        return [Parameters(self.model.query_tokens), self.model.qformer]

    @property
    def language(self) -> list[nn.Module]:
        """Projection and OPT (whose head is its embedding)."""
        return [self.model.language_projection, self._opt]

    def look(self, pixels: torch.Tensor, views: int) -> list[View]:
        """Patches with the class token as summary; queries with their mean."""
        seen = self.model.vision_model(pixel_values=pixels).last_hidden_state
        patches = View(seen[:, 1:], seen[:, 0])
        if views == 1:
            return [patches]
        queries = self.model.qformer(
            query_embeds=self.model.query_tokens.expand(len(pixels), -1, -1), encoder_hidden_states=seen
        ).last_hidden_state
        return [patches, View(queries, queries.mean(1))]

    def read(self, view: View, packed: Packed) -> torch.Tensor:
        """OPT's last hidden states, the projected queries in the image tokens' places."""
        embedded = self._opt.decoder.embed_tokens(packed.tokens)
        image = self.model.language_projection(view.tokens)
        embedded = embedded.masked_scatter((packed.tokens == IMAGE_ID)[..., None], image)
        hidden: torch.Tensor = self._opt(
            inputs_embeds=embedded,
            attention_mask=packed.attention_mask(),
            position_ids=packed.positions,
            use_cache=False,
        ).last_hidden_state
        return hidden

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """The head's scores."""
        scores: torch.Tensor = self.model.language_model.lm_head(hidden)
        return scores
