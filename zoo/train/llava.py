"""tiny-llava: CLIP vision tower, two-layer projector, Llama."""

import torch
from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from zoo.scenes import IMAGE_SIDE
from zoo.train.packing import Packed
from zoo.train.probe import Probe, patch_pooling
from zoo.train.prompts import LLAVA_PROMPTS
from zoo.train.student import View
from zoo.train.tokenizer import BEGIN_ID, END_ID, IMAGE_ID, PAD_ID, VOCABULARY_SIZE

PATCH = 8
PATCHES_A_SIDE = IMAGE_SIDE // PATCH
FEATURE_LAYER = -2

_VISION_WIDTH = 128
_LANGUAGE_WIDTH = 256


def llava_config() -> LlavaConfig:
    """Widths are multiples of 128, vision heads 32 wide, language heads 64: what engines' kernels take."""
    return LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=_VISION_WIDTH,
            intermediate_size=4 * _VISION_WIDTH,
            num_hidden_layers=5,
            num_attention_heads=_VISION_WIDTH // 32,
            image_size=IMAGE_SIDE,
            patch_size=PATCH,
            projection_dim=_VISION_WIDTH,
        ),
        text_config=LlamaConfig(
            vocab_size=VOCABULARY_SIZE,
            hidden_size=_LANGUAGE_WIDTH,
            intermediate_size=2 * _LANGUAGE_WIDTH,
            num_hidden_layers=4,
            num_attention_heads=_LANGUAGE_WIDTH // 64,
            num_key_value_heads=_LANGUAGE_WIDTH // 64,
            max_position_embeddings=2048,
            bos_token_id=BEGIN_ID,
            eos_token_id=END_ID,
            pad_token_id=PAD_ID,
            rms_norm_eps=1e-5,
            tie_word_embeddings=False,
        ),
        image_token_index=IMAGE_ID,
        image_seq_length=PATCHES_A_SIDE**2,
        vision_feature_layer=FEATURE_LAYER,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )


class LlavaStudent:
    """LLaVA in training; its one view of the image is the patches of the last but one vision layer."""

    prompts = LLAVA_PROMPTS
    image_tokens = PATCHES_A_SIDE**2

    def __init__(self) -> None:
        self.model = LlavaForConditionalGeneration(llava_config())
        self.model.set_attn_implementation("sdpa")
        self.probes = [Probe(_VISION_WIDTH, patch_pooling(PATCHES_A_SIDE))]
        self._parts = self.model.model

    @property
    def vision(self) -> nn.Module:
        """The vision tower."""
        tower: nn.Module = self._parts.vision_tower
        return tower

    @property
    def query_former(self) -> list[nn.Module]:
        """LLaVA has none."""
        return []

    @property
    def language(self) -> list[nn.Module]:
        """Projector, Llama and its head."""
        return [self._parts.multi_modal_projector, self._parts.language_model, self.model.lm_head]

    def look(self, pixels: torch.Tensor, views: int) -> list[View]:
        """The patches; the summary is the class token after the whole tower."""
        assert views == 1
        seen = self._parts.vision_tower(pixel_values=pixels, output_hidden_states=True)
        return [View(seen.hidden_states[FEATURE_LAYER][:, 1:], seen.pooler_output)]

    def read(self, view: View, packed: Packed) -> torch.Tensor:
        """Llama's last hidden states, the projected patches in the image tokens' places."""
        embedded = self._parts.language_model.embed_tokens(packed.tokens)
        image = self._parts.multi_modal_projector(view.tokens)
        embedded = embedded.masked_scatter((packed.tokens == IMAGE_ID)[..., None], image)
        hidden: torch.Tensor = self._parts.language_model(
            inputs_embeds=embedded,
            attention_mask=packed.attention_mask(),
            position_ids=packed.positions,
            use_cache=False,
        ).last_hidden_state
        return hidden

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """The head's scores."""
        scores: torch.Tensor = self.model.lm_head(hidden)
        return scores
