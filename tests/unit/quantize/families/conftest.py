"""Tiny random checkpoints of the families beyond LLaVA-1.5 and BLIP-2, made and saved by transformers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from quantize.calibration.batches import Batch

WIDTH, HIDDEN, BLOCKS, HEADS, VOCABULARY = 128, 256, 2, 4, 160
IMAGE_TOKEN = 4
LEARNT = 72
SHAPE = {"hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_hidden_layers": BLOCKS}
SHAPE["num_attention_heads"] = HEADS


def llava_next() -> Any:
    from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration

    config = LlavaNextConfig(
        vision_config={"model_type": "clip_vision_model", **SHAPE, "image_size": 32, "patch_size": 16},
        text_config={"model_type": "llama", **SHAPE, "num_key_value_heads": 2, "vocab_size": VOCABULARY},
        image_token_index=IMAGE_TOKEN,
        image_grid_pinpoints=[[32, 64], [64, 32], [64, 64]],
        tie_word_embeddings=False,
    )
    return LlavaNextForConditionalGeneration(config)


def blip2_itm() -> Any:
    from transformers import Blip2Config, Blip2ForImageTextRetrieval

    config = Blip2Config(
        # the default range of 1e-10 makes outputs that float32 cannot square
        vision_config={**SHAPE, "image_size": 32, "patch_size": 16, "initializer_range": 0.05},
        qformer_config={
            **SHAPE,
            "encoder_hidden_size": WIDTH,
            "vocab_size": VOCABULARY,
            "use_qformer_text_input": True,
            "max_position_embeddings": 32,
        },
        text_config={"model_type": "opt", "hidden_size": WIDTH, "num_hidden_layers": 1, "vocab_size": 160},
        num_query_tokens=4,
        image_text_hidden_size=32,
    )
    return Blip2ForImageTextRetrieval(config)


def qwen25_vl() -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    rotary = {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 10000.0}
    text = {**SHAPE, "num_key_value_heads": 2, "vocab_size": VOCABULARY, "rope_parameters": rotary}
    vision = {"depth": BLOCKS, "hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_heads": HEADS}
    config = Qwen2_5_VLConfig(
        text_config={**text, "bos_token_id": 1, "eos_token_id": 2},
        vision_config={**vision, "out_hidden_size": WIDTH, "patch_size": 14, "fullatt_block_indexes": [1]},
        image_token_id=IMAGE_TOKEN,
        video_token_id=5,
        vision_start_token_id=6,
        vision_end_token_id=7,
        tie_word_embeddings=False,
    )
    return Qwen2_5_VLForConditionalGeneration(config)


def _text(generator: torch.Generator, tokens: int) -> torch.Tensor:
    return torch.randint(8, VOCABULARY, (1, tokens), generator=generator)


def _inputs(ids: torch.Tensor, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **more}


def llava_next_inputs(generator: torch.Generator, tokens: int) -> dict[str, torch.Tensor]:
    # a square of 64 pixels: the whole and four tiles of 2x2 patches, a line break after each row of 4 patches
    images = torch.full((1, 4 + 4 * 4 + 4), IMAGE_TOKEN)
    ids = torch.cat([images, _text(generator, tokens)], 1)
    pixels = torch.randn(1, 5, 3, 32, 32, generator=generator)
    return _inputs(ids, pixel_values=pixels, image_sizes=torch.tensor([[64, 64]]))


def blip2_itm_inputs(generator: torch.Generator, tokens: int) -> dict[str, torch.Tensor]:
    return _inputs(_text(generator, tokens), pixel_values=torch.randn(1, 3, 32, 32, generator=generator))


def qwen25_vl_inputs(generator: torch.Generator, tokens: int) -> dict[str, torch.Tensor]:
    grid = torch.tensor([[1, 8, 4]])  # 32 patches, merged by fours
    ids = torch.cat([torch.tensor([[6, *[IMAGE_TOKEN] * 8, 7]]), _text(generator, tokens)], 1)
    pixels = torch.randn(32, 3 * 2 * 14 * 14, generator=generator)
    return _inputs(
        ids, pixel_values=pixels, image_grid_thw=grid, mm_token_type_ids=(ids == IMAGE_TOKEN).to(torch.int)
    )


@dataclass(frozen=True, slots=True)
class FamilyBase:
    """A checkpoint of a family and calibration batches for it, the last one held out."""

    name: str
    directory: Path
    batches: tuple[Batch, ...]


MAKERS: dict[str, tuple[Callable[[], Any], Callable[[torch.Generator, int], dict[str, torch.Tensor]]]] = {
    "llava-next": (llava_next, llava_next_inputs),
    "blip-2-itm": (blip2_itm, blip2_itm_inputs),
    "qwen2.5-vl": (qwen25_vl, qwen25_vl_inputs),
}


@pytest.fixture(scope="session", params=MAKERS)
def family_base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FamilyBase:
    """Each family in turn."""
    make, make_inputs = MAKERS[request.param]
    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("families") / request.param
    model = make()
    for name, parameter in model.named_parameters():
        if "norm" in name.lower() and name.endswith("weight"):  # fresh norms are all ones: nothing to smooth
            parameter.data *= torch.exp(torch.randn_like(parameter) / 2)
        if name.endswith("query_tokens"):  # fresh ones are all zero: the first block would see nothing
            parameter.data.normal_()
    model.to(torch.bfloat16).save_pretrained(directory)
    generator = torch.Generator().manual_seed(0)
    batches = []
    for index in range(LEARNT + 8):
        inputs = make_inputs(generator, 12 + index % 3)
        weights = torch.ones(inputs["input_ids"].shape)
        batches.append(Batch((f"sample {index}",), inputs, weights, is_held_out=index >= LEARNT))
    return FamilyBase(request.param, directory, tuple(batches))
